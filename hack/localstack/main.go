// Command localstack runs the whole product on this machine: a Kubernetes control plane, the reference CM host and the
// operator, all as plain processes on loopback. `make up` runs it until it is interrupted, `make demo` has it tell a story
// and end, `make up-cmhost` and `make up-manager` ask the one that runs to start a part again.
//
// It is a client like any other: it knows the product through its programs' flags, the files in config/ and the custom
// resources, and imports nothing of the product but the types of api/v1alpha1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	ctrl.SetLogger(logr.Discard()) // what the client library logs is in the errors that it returns
	ctx, stop := untilInterrupted()
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "localstack:", err)
		os.Exit(1)
	}
}

// untilInterrupted ends the context on the first signal; the second one kills this program as usual, and with it its parts.
// It ends as well when the program that started this one is gone, so that a killed `make` leaves nothing behind.
func untilInterrupted() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // nobody reads the progress any more: that is no reason to end without cleaning up
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent && pause(ctx, time.Second) {
			continue
		}
		stop()
	}()
	return ctx, stop
}

func command() *cobra.Command {
	var root, assets string
	cmd := &cobra.Command{
		Use:           "localstack",
		Short:         "A control plane, the reference CM host and the operator on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&root, "root", ".", "the checkout")
	cmd.PersistentFlags().StringVar(&assets, "assets", "", "the directory with etcd, kube-apiserver and kubectl")
	cmd.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Run everything until interrupted", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return withStack(cmd.Context(), root, assets, untilDone)
			},
		},
		&cobra.Command{
			Use: "demo", Short: "Run everything, tell the story of a procedure, and end", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return withStack(cmd.Context(), root, assets, tell)
			},
		},
		&cobra.Command{
			Use: "start cmhost|manager", Short: "Start a part again where `up` runs",
			Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"cmhost", "manager"},
			RunE: func(cmd *cobra.Command, args []string) error {
				return askToStart(cmd.Context(), root, args[0])
			},
		},
	)
	return cmd
}

// untilDone is what `up` does with the stack: it says how to use it, and waits for the interruption. The line `ready` comes
// last, for programs that wait for it.
func untilDone(ctx context.Context, s *stack) error {
	fmt.Print(s.guide())
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

// guide says how to use the stack from another shell, in lines that can be pasted there.
func (s *stack) guide() string {
	return fmt.Sprintf(`
Everything runs. In another shell, in any directory:

  export KUBECONFIG="%[1]s"
  export PATH="%[2]s:$PATH:%[3]s"   # the plugin, and a kubectl for those who have none
  kubectl get cmhosts -n %[4]s      # the CM host %[5]s
  kubectl tokenproc --help        # the way from an empty directory to an Active procedure

Officers' keys and certificates: %[6]s/officer-1.key and .crt, officer-2, …
Logs: %[7]s
To end it: Ctrl-C here, or: kill %[8]d

`, s.folder.path("kubeconfig"), filepath.Join(s.root, "bin"), s.assets, namespace, audience, s.folder.path("officers"), s.folder.path("log"), os.Getpid())
}

// withStack starts everything, hands it over, and ends everything, whatever happens in between.
func withStack(ctx context.Context, root, assets string, use func(context.Context, *stack) error) (err error) {
	s, err := newStack(root, assets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted before everything was up")
		}
		return err
	}
	return use(ctx, s)
}
