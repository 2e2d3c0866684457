// Package server is the CM host's interface over mutual TLS: it maps client certificates to roles, bounds what a client
// may cost, answers the calls of the contract from the store, and turns every refusal into a problem document.
//
// What is decided about a submission is admission's, how it is kept is the store's. The package knows no Kubernetes.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

// Product is what the host calls itself.
const Product = "cmhost"

// GarbagePercent is how much garbage a host's program leaves beside what is in use, for debug.SetGCPercent. A host has
// little in use, some ten megabytes: with Go's own 100 the collector would run twenty times a second under load.
const GarbagePercent = 400

// DefaultMaxSignatureAge is how old a signature may be when its request is accepted.
const DefaultMaxSignatureAge = 30 * 24 * time.Hour

// Config is what a server needs.
type Config struct {
	Audience        string
	Version         string
	MaxSignatureAge time.Duration
	Store           *store.Store
	Clients         Clients
	Limits          Limits
	Log             *slog.Logger
	Metrics         *Metrics
	// Now is the clock.
	Now func() time.Time
}

// Server answers the calls of the interface.
type Server struct {
	config   Config
	handler  http.Handler
	drain    context.Context // done when the server is going down: long polls end
	draining context.CancelFunc
	inFlight atomic.Int64
}

// New is a server. It refuses a store whose log names another audience.
func New(ctx context.Context, config Config) (*Server, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Metrics == nil {
		config.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.MaxSignatureAge == 0 {
		config.MaxSignatureAge = DefaultMaxSignatureAge
	}
	config.Limits = config.Limits.orDefaults()
	found, err := config.Store.Audience(ctx)
	if err != nil {
		return nil, err
	}
	if found != "" && found != config.Audience {
		return nil, fmt.Errorf("the log in the database is of the audience %q, this host is to be %q: use this host's own database, or the audience %q", found, config.Audience, found)
	}
	s := &Server{config: config}
	s.drain, s.draining = context.WithCancel(context.WithoutCancel(ctx))
	s.handler = s.build()
	return s, nil
}

// build stacks what every call passes, from the outside in.
func (s *Server) build() http.Handler {
	mux := http.NewServeMux()
	answers := &api{server: s}
	strict := cmhostv1.NewStrictHandlerWithOptions(answers, nil, cmhostv1.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  s.malformed,
		ResponseErrorHandlerFunc: s.refuse,
	})
	cmhostv1.HandlerWithOptions(submissions{strict, answers}, cmhostv1.StdHTTPServerOptions{BaseRouter: mux, ErrorHandlerFunc: s.malformed})
	limits := newLimiter(s.config.Limits)
	return s.observed(mux, s.permitted(limits.limited(s.known(s.readable(s.bounded(compressed(mux)))))))
}

// ServeHTTP implements http.Handler. The request must have come over mutual TLS.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers calls on a listener until the context is done; then it lets the calls under way finish.
func (s *Server) Serve(ctx context.Context, listener net.Listener, config *tls.Config) error {
	const (
		grace     = 20 * time.Second
		maxHeader = 16 << 10
	)
	limits := s.config.Limits
	httpServer := &http.Server{
		Handler: s, ReadHeaderTimeout: limits.Header, ReadTimeout: limits.Request, WriteTimeout: limits.Answer,
		IdleTimeout: limits.Idle, MaxHeaderBytes: maxHeader, TLSConfig: config, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
	var served sync.WaitGroup
	var failed error
	served.Go(func() { failed = httpServer.ServeTLS(listener, "", "") })
	ended := make(chan struct{})
	go func() { served.Wait(); close(ended) }()
	select {
	case <-ended:
		return failed
	case <-ctx.Done():
	}
	s.draining()
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := httpServer.Shutdown(finish)
	<-ended
	if errors.Is(failed, http.ErrServerClosed) {
		failed = nil
	}
	return errors.Join(err, failed)
}

// Draining tells whether the server is going down.
func (s *Server) Draining() bool { return s.drain.Err() != nil }

// InFlight is how many calls are being answered.
func (s *Server) InFlight() int { return int(s.inFlight.Load()) }
