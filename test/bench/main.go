// Command bench measures the real operator, host and API server on one machine against a floor: a bare client that makes
// just the writes that nobody can avoid, at the same concurrency, against the same servers, in the same run.
//
// It prints a table and writes it as JSON, one row for each target; it fails when a target is missed by more than the
// noise that it measured itself. It uses the programs in bin/ and the control plane's own; the operator and the host are
// separate processes, configured as anybody runs them. It may import what the project has for making requests and
// signatures, and nothing of the controllers: what they do it learns from the audit log of the API server, from the
// access log of the host, and from the process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are the command line.
type options struct {
	assets, programs, out, profiles, only string
	scale                                 float64
	rounds                                int
	idle                                  time.Duration
}

// of is a full size at the scale of this run.
func (o options) of(full int) int { return max(20, int(math.Round(float64(full)*o.scale))) }

// bench is one run.
type bench struct {
	options
	people *people
	table  table

	straightAtStart, straightStepwise []straight
}

// suites are what can be measured by itself. Each fills in rows of the table.
var suites = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"start", (*bench).measureStart},
	{"latency", (*bench).measureLatency},
	{"size", (*bench).measureSize},
}

func main() {
	var o options
	flag.StringVar(&o.assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"), "folder with etcd and kube-apiserver")
	flag.StringVar(&o.programs, "programs", "bin", "folder with manager and cmhost")
	flag.StringVar(&o.out, "out", ".local/bench.json", "file to write the table to")
	flag.StringVar(&o.profiles, "profiles", "", "folder to write CPU profiles of the operator to; none if empty")
	flag.StringVar(&o.only, "only", "", "measure only these, separated by commas: start, latency, size")
	flag.Float64Var(&o.scale, "scale", 1, "part of the full sizes, for development; targets are for 1")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is measured; the table has medians")
	flag.DurationVar(&o.idle, "idle", time.Minute, "how long the idle operator is watched")
	flag.Parse()
	quiet := logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctrl.SetLogger(quiet)
	klog.SetLogger(quiet)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.assets == "" || o.rounds < 1 || o.scale <= 0 || flag.NArg() > 0 {
		return errors.New("expected -assets with the control plane's programs, -rounds of at least 1 and -scale above 0: see -help, or use `make bench`")
	}
	people, err := newPeople()
	if err != nil {
		return err
	}
	b := &bench{options: o, people: people}
	for _, suite := range suites {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+suite.name+",") {
			continue
		}
		if err := suite.measure(b, ctx); err != nil {
			return fmt.Errorf("measure %s: %w", suite.name, err)
		}
	}
	b.table.sort()
	if err := b.table.write(o.out); err != nil {
		return err
	}
	fmt.Print(b.table.text())
	return b.table.verdict()
}

// progress says what is being done.
func progress(format string, values ...any) {
	fmt.Printf(time.Now().UTC().Format("15:04:05 ")+format+"\n", values...)
}
