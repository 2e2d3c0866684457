package rules

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func TestSelectCertificateProcedure(t *testing.T) {
	for _, c := range []struct {
		list   []string
		usages []string
		want   string
		err    error
	}{
		{list: []string{"Authentication", "Signature"}, want: "Authentication"},
		{list: []string{"Retired", "Signature"}, want: "Retired"},
		{list: []string{"Authentication", "Signature"}, usages: []string{"nonRepudiation"}, want: "Signature"},
		{list: []string{"Authentication", "Signature"}, usages: []string{"digitalSignature"}, want: "Authentication"},
		{list: []string{"Authentication", "Signature"}, usages: []string{"digitalSignature", "nonRepudiation"}, err: ErrNoMatch},
		{list: []string{"Authentication", "Signature", "General"}, usages: []string{"digitalSignature", "nonRepudiation"}, want: "General"},
		{list: []string{"Authentication", "Everything"}, usages: KeyUsages, want: "Everything"},
		{list: []string{"Authentication", "General", "Everything"}, usages: KeyUsages, want: "General"},
		{list: []string{"Key encipherment", "Encryption"}, usages: []string{"dataEncipherment", "keyEncipherment"}, want: "Encryption"},
		{list: []string{"Encryption"}, usages: []string{"keyEncipherment", "keyEncipherment"}, want: "Encryption"},
		{list: []string{"Nope", "Signature"}, usages: []string{"nonRepudiation"}, want: "Signature"},
		{list: []string{"Nope"}, usages: []string{"nonRepudiation"}, err: ErrNoMatch},
		{list: nil, err: ErrNoMatch},
		{list: []string{"General"}, usages: []string{"contentCommitment"}, err: ErrUnknownKeyUsage},
		{list: []string{"General"}, usages: []string{"digitalsignature"}, err: ErrUnknownKeyUsage},
		{list: []string{"General"}, usages: []string{""}, err: ErrUnknownKeyUsage},
	} {
		got, err := SelectCertificateProcedure(smartCard(certificates(c.list...)), sampleCatalog(), c.usages)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q for %q: got %q, %v; want %q, %v", c.list, c.usages, got, err, c.want, c.err)
		}
	}
}

// TestSelectionIsWhatTheRulesSay holds the selection against the rules as written for people, read word by word with
// sets of names, and shadowing against trying every request there is.
func TestSelectionIsWhatTheRulesSay(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		catalog, list := randomCertificateProcedures(random)
		p := request.Procedure{Name: "P", State: request.Active, CertificateProcedures: list}
		chosen := map[string]bool{}
		for bits := range 1 << len(KeyUsages) {
			requested := usagesOf(bits)
			want := readWordByWord(list, catalog, requested)
			got, err := SelectCertificateProcedure(p, catalog, requested)
			if got != want || (want == "") != errors.Is(err, ErrNoMatch) {
				t.Fatalf("%v of %v: got %q, %v; want %q", requested, catalog.CertificateProcedures, got, err, want)
			}
			chosen[got] = true
		}
		var never []string
		for i, name := range list {
			if !chosen[name] {
				never = append(never, fmt.Sprintf("spec.procedure.certificateProcedures[%d]: ShadowedCertificateProcedure", i))
			}
		}
		if got := summaries(Warnings(p, catalog, nil)); !slices.Equal(got, never) {
			t.Fatalf("%v: warned of %q, never chosen are %q", catalog.CertificateProcedures, got, never)
		}
	}
}

func randomCertificateProcedures(random *rand.Rand) (*Catalog, []string) {
	catalog, list := &Catalog{}, []string{}
	for i := range 1 + random.IntN(5) {
		name := fmt.Sprintf("C%d", i)
		bits := random.IntN(1<<len(KeyUsages)) & random.IntN(1<<len(KeyUsages))
		if random.IntN(8) == 0 {
			bits = 1<<len(KeyUsages) - 1
		}
		catalog.CertificateProcedures = append(catalog.CertificateProcedures, issuing(active(name), usagesOf(bits)...))
		list = append(list, name)
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return catalog, list
}

func usagesOf(bits int) []string {
	var usages []string
	for i, usage := range KeyUsages {
		if bits&(1<<i) != 0 {
			usages = append(usages, usage)
		}
	}
	return usages
}

// readWordByWord is the three rules of the domain, as slowly as they are written.
func readWordByWord(list []string, catalog *Catalog, requested []string) string {
	for _, name := range list {
		if len(requested) == 0 {
			return name // the request names no key usage: the first in the list
		}
		var set []string
		for _, entry := range catalog.CertificateProcedures {
			if entry.Name == name {
				set = entry.KeyUsages
			}
		}
		if len(set) == 0 || len(set) == len(KeyUsages) {
			return name // no key usage set, or all of them: matches every request
		}
		matches := true
		for _, usage := range requested {
			matches = matches && slices.Contains(set, usage)
		}
		if matches {
			return name
		}
	}
	return ""
}

func TestErrorsOfSelectionSayWhatToDo(t *testing.T) {
	_, err := SelectCertificateProcedure(smartCard(), sampleCatalog(), []string{"keyUsage"})
	if err == nil || !strings.Contains(err.Error(), `"keyUsage"`) || !strings.Contains(err.Error(), "digitalSignature") {
		t.Errorf("got %v", err)
	}
	_, err = SelectCertificateProcedure(smartCard(), sampleCatalog(), []string{"cRLSign"})
	if err == nil || !strings.Contains(err.Error(), "cRLSign") || !strings.Contains(err.Error(), "Authentication, Signature") {
		t.Errorf("got %v", err)
	}
}
