package plugin

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// catalogFlags say where the catalogue of a CM host comes from: a file, or the host.
type catalogFlags struct {
	hosts hostFlags
	file  string
}

func (f *catalogFlags) add(command *cobra.Command) {
	f.hosts.add(command)
	command.Flags().StringVar(&f.file, "catalog", "", "file with the CM host's catalogue, YAML or JSON as GET /v1/catalog gives it, instead of asking the host")
	cobra.CheckErr(command.MarkFlagFilename("catalog", "yaml", "yml", "json"))
}

// catalog reads the catalogue from the file, else asks the host of a procedure.
func (f *catalogFlags) catalog(ctx context.Context, s *session, from *source) (*rules.Catalog, error) {
	if f.file != "" {
		return readCatalog(f.file)
	}
	opened, err := f.hosts.openFor(ctx, s, from)
	if err != nil {
		return nil, fmt.Errorf("this needs the CM host's catalogue: %w; or give it with --catalog FILE", err)
	}
	if err := opened.mustBe(ctx, from.audience); err != nil {
		return nil, err
	}
	return opened.catalog(ctx)
}

func readCatalog(path string) (*rules.Catalog, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usage(err)
	}
	catalog := new(rules.Catalog)
	if err := yaml.UnmarshalStrict(content, catalog); err != nil {
		return nil, usagef("%s is not a catalogue: %w", path, err)
	}
	return catalog, nil
}

// rangesOf collects the serial ranges in use at a host, by procedure.
func rangesOf(procedures []cmhostv1.TokenProcedureSummary) *rules.SerialRanges {
	ranges := new(rules.SerialRanges)
	for _, procedure := range procedures {
		if found, used := usedRange(&procedure); used {
			ranges.Set(procedure.Name, found)
		}
	}
	return ranges
}

// usedRange is the range of an Active procedure in the host's list.
func usedRange(procedure *cmhostv1.TokenProcedureSummary) (rules.SerialRange, bool) {
	r := procedure.SerialRange
	return rules.SerialRange{From: r.From, To: r.To}, procedure.State == rules.Active && r.From != "" && r.To != ""
}

// progress tells on the standard error how far long work is, from the first full page on.
func (s *session) progress(what string) func(int) {
	return func(count int) {
		if count >= proceduresALook {
			s.note("%s: %d so far\n", what, count)
		}
	}
}
