package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/server"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

// serveFlags are the flags of cmhost serve.
type serveFlags struct {
	audience, listen, metricsListen, database string
	certFile, keyFile, clientCAFile           string
	submitters, readers                       []string
	maxSignatureAge                           time.Duration
	limits                                    server.Limits
}

func newServeCommand() *cobra.Command {
	flags := &serveFlags{}
	command := &cobra.Command{
		Use:   "serve",
		Short: "Serve the CM host's interface over mutual TLS",
		Long: `Serve the CM host's interface over TLS 1.3 with client certificates.

A client is named by the fingerprint of its certificate's DER (sha256:HEX) or by a subject alternative name
(dns:NAME, uri:URI, email:ADDRESS). Several hosts can serve one PostgreSQL database.
The host stops on SIGTERM after the calls under way.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			err := serve(command.Context(), flags)
			if command.Context().Err() != nil && errors.Is(err, context.Canceled) { // a signal is its normal end, also while it starts
				return nil
			}
			return err
		},
	}
	f := command.Flags()
	databaseFlag(command, &flags.database)
	f.StringVar(&flags.audience, "audience", "", "what requests to this host must name as their audience")
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8443", "address to serve on")
	f.StringVar(&flags.metricsListen, "metrics-listen", "", "address for metrics and health, without TLS; none if empty")
	f.StringVar(&flags.certFile, "tls-cert", "", "the host's certificate, PEM; read again when it changes")
	f.StringVar(&flags.keyFile, "tls-key", "", "the host's private key, PEM")
	f.StringVar(&flags.clientCAFile, "client-ca", "", "the certificates that client certificates must lead to, PEM")
	f.StringArrayVar(&flags.submitters, "submitter", nil, "client that may read and put; repeatable")
	f.StringArrayVar(&flags.readers, "reader", nil, "client that may read; repeatable")
	f.DurationVar(&flags.maxSignatureAge, "max-signature-age", server.DefaultMaxSignatureAge, "how old a signature may be when its request is accepted")
	f.Float64Var(&flags.limits.Rate, "client-rate", 0, "calls a second that one client may make in the long run (default 500; negative: no limit)")
	f.IntVar(&flags.limits.Burst, "client-burst", 0, "calls that one client may make at once (default 1000)")
	f.IntVar(&flags.limits.Calls, "max-calls", 0, "calls that are answered at the same time (default 256)")
	f.IntVar(&flags.limits.LongPolls, "max-long-polls", 0, "calls that wait for changes at the same time (default 1024)")
	for _, required := range []string{"audience", "database", "tls-cert", "tls-key", "client-ca"} {
		if err := command.MarkFlagRequired(required); err != nil {
			panic(err)
		}
	}
	return command
}

func serve(ctx context.Context, flags *serveFlags) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(server.GarbagePercent)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	clients, err := server.NewClients(flags.submitters, flags.readers)
	if err != nil {
		return err
	}
	tlsConfig, err := server.TLSConfig(flags.certFile, flags.keyFile, flags.clientCAFile)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics := server.NewMetrics(registry)
	opened, err := store.Open(ctx, flags.database, store.Options{Log: log, Observe: metrics.ObserveBatch})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	metrics.ObserveLog(opened)
	host, err := server.New(ctx, server.Config{
		Audience: flags.audience, Version: version, MaxSignatureAge: flags.maxSignatureAge, Store: opened,
		Clients: clients, Limits: flags.limits, Log: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	stopOperations, err := serveOperations(flags.metricsListen, host, log)
	if err != nil {
		return err
	}
	defer stopOperations()
	listener, err := net.Listen("tcp", flags.listen)
	if err != nil {
		return err
	}
	log.Info("serving", "address", listener.Addr().String(), "audience", flags.audience, "submitters", len(flags.submitters), "readers", len(flags.readers), "logLength", opened.Length())
	err = host.Serve(ctx, listener, tlsConfig)
	log.Info("stopped")
	return err
}

// serveOperations serves metrics and health until the returned function is called.
func serveOperations(address string, host *server.Server, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	operations := &http.Server{Handler: host.Operations(), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		if err := operations.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err.Error())
		}
	}()
	log.Info("serving metrics and health", "address", listener.Addr().String())
	return func() { _ = operations.Close() }, nil
}
