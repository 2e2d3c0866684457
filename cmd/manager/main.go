// Command manager is the operator: it keeps token procedures of CM hosts as custom resources.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/controllers"
)

// garbagePercent is how much garbage there may be beside what is in use. Nearly all of that are caches, which stay: with
// Go's own 100 there would be as much memory for garbage as for them. It gives the collector more to do, while a busy
// operator mostly waits for the API server.
const garbagePercent = 12

// graceful is how long the end of what is under way is waited for. Giving the lease back to an API server that does not
// answer may take as long as renewing it may, 8.4 s, besides: together that is well below the 30 s after which the kubelet kills.
const graceful = 5 * time.Second

// ballast counts as memory in use, so that the collector has not much to do where the caches are small. It is never
// touched, and so occupies nothing.
var ballast = make([]byte, 32<<20)

// options are the command line.
type options struct {
	metricsAddress          string
	metricsSecure           bool
	probeAddress            string
	leaderElect             bool
	leaderElectionNamespace string
	namespaces              string
	verbose                 bool
	leaseDuration           time.Duration
	pprofAddress            string
	tracingEndpoint         string
}

func main() {
	var o options
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "address that serves metrics, for example :8443; 0 serves none")
	flag.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics by HTTPS, to clients that the API server lets read them")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address that serves /healthz and /readyz; 0 serves none")
	flag.BoolVar(&o.leaderElect, "leader-elect", false, "have one of several replicas do the work")
	flag.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "namespace of the lease; in a cluster, the program's own if empty")
	flag.StringVar(&o.namespaces, "namespaces", "", "namespaces to look after, separated by commas; all if empty")
	flag.StringVar(&o.pprofAddress, "pprof-bind-address", "0", "address that serves profiles of the running program; 0 serves none. Keep it on loopback")
	flag.StringVar(&o.tracingEndpoint, "tracing-endpoint", "", "URL that takes traces by OTLP over HTTP, for example http://collector:4318/v1/traces; without it the variables OTEL_EXPORTER_OTLP_… say where to, or none are sent")
	flag.BoolVar(&o.verbose, "verbose", false, "log what is done in detail")
	flag.DurationVar(&o.leaseDuration, "lease-duration", 15*time.Second, "how long at most nobody works after the replica that did has died; leases are shorter by what it takes to notice")
	flag.Parse()
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	logger := logr.FromSlogHandler(newHandler(os.Stderr, level))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := run(o); err != nil {
		logger.Error(err, "the manager ends")
		os.Exit(1)
	}
}

// run runs the operator until it is told to end or loses its lease.
func run(o options) error {
	defer goruntime.KeepAlive(ballast)
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q: see --help", flag.Args())
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// The API server has fair queueing of its own; a limit here would only add latency.
	config.QPS = -1
	config.UserAgent = "token-procedure-operator"
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	endsWithin := graceful
	how := ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controllers.CacheOptions(o.namespaceList()),
		Client:                  controllers.ClientOptions(),
		MapperProvider:          controllers.Mapper,
		Metrics:                 o.metrics(),
		HealthProbeBindAddress:  o.probeAddress,
		PprofBindAddress:        o.pprofAddress,
		LeaderElectionNamespace: o.leaderElectionNamespace,
		GracefulShutdownTimeout: &endsWithin,
	}
	if o.leaderElect {
		controllers.Replicas(&how, o.leaseDuration)
	}
	mgr, err := ctrl.NewManager(config, how)
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	if err := mgr.Add(synced{}); err != nil {
		return err
	}
	options := controllers.DefaultOptions()
	options.StandBy = o.leaderElect
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		return err
	}
	if !tracesWanted(o.tracingEndpoint) {
		return mgr.Start(ctx)
	}
	stop, err := startTraces(ctx, o.tracingEndpoint)
	if err != nil {
		return err
	}
	err = mgr.Start(ctx)
	if lost := stop(); lost != nil { // of no concern for how the program ended
		ctrl.Log.Info("the last traces could not be sent", "error", lost.Error())
	}
	return err
}

// synced gives back, when the caches are full, the memory that filling them took: the API server's answers as they came.
type synced struct{}

// Start implements manager.Runnable; the manager starts it when the caches are synced.
func (synced) Start(context.Context) error {
	debug.FreeOSMemory()
	return nil
}

// NeedLeaderElection is false: a standby has full caches too.
func (synced) NeedLeaderElection() bool { return false }

func (o options) namespaceList() []string {
	var names []string
	for name := range strings.SplitSeq(o.namespaces, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// metrics serves metrics securely to whom the API server lets, unless plain ones were asked for.
func (o options) metrics() metricsserver.Options {
	served := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		served.FilterProvider = filters.WithAuthenticationAndAuthorization
		served.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }}
	}
	return served
}
