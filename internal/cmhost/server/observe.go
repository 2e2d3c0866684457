package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

// Metrics are what Prometheus reads.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	problems *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	accepted prometheus.Counter
	batch    prometheus.Histogram
	commit   prometheus.Histogram
	retries  prometheus.Counter
}

// NewMetrics registers the host's metrics.
func NewMetrics(registry *prometheus.Registry) *Metrics {
	m := &Metrics{
		registry: registry,
		calls:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cmhost_calls_total", Help: "Calls that were answered."}, []string{"call", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cmhost_call_duration_seconds", Help: "How long calls took, waiting for changes included.", Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12)}, []string{"call"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cmhost_problems_total", Help: "Refusals by kind and reason."}, []string{"problem", "reason"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cmhost_calls_in_flight", Help: "Calls that are being answered."}, []string{"call"}),
		accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "cmhost_accepted_requests_total", Help: "Requests that were accepted with two signatures."}),
		batch:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cmhost_commit_changes", Help: "How many changes committed together.", Buckets: prometheus.ExponentialBuckets(1, 2, 7)}),
		commit:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cmhost_commit_duration_seconds", Help: "How long writing transactions took.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12)}),
		retries:  prometheus.NewCounter(prometheus.CounterOpts{Name: "cmhost_commit_retries_total", Help: "How often the database asked to try a transaction again."}),
	}
	registry.MustRegister(m.calls, m.duration, m.problems, m.inFlight, m.accepted, m.batch, m.commit, m.retries)
	return m
}

// ObserveBatch is for store.Options.
func (m *Metrics) ObserveBatch(b store.Batch) {
	m.batch.Observe(float64(b.Changes))
	m.commit.Observe(b.Duration.Seconds())
	m.retries.Add(float64(b.Retries))
}

// ObserveLog adds the length of the log, read when it is asked for.
func (m *Metrics) ObserveLog(s *store.Store) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cmhost_log_length", Help: "Entries of the log."}, func() float64 {
		return float64(s.Length())
	}))
}

// observed writes the access log and the metrics of each call, and answers for calls that panic.
func (s *Server) observed(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, found := time.Now(), &note{}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, found))
		r.Pattern = patternOf(mux, r)
		call := callName(r.Pattern)
		counted := &countingWriter{ResponseWriter: w}
		s.config.Metrics.inFlight.WithLabelValues(call).Inc()
		s.inFlight.Add(1)
		defer func() {
			if cause := recover(); cause != nil {
				found.cause = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
				respond(counted, r, problem.New(cmhostv1.ProblemUnavailable, "the host failed to answer"))
			}
			s.inFlight.Add(-1)
			s.config.Metrics.inFlight.WithLabelValues(call).Dec()
			s.config.Metrics.observe(call, counted.code(), time.Since(start), found)
			s.log(r, call, counted, time.Since(start), found)
		}()
		next.ServeHTTP(counted, r)
	})
}

func callName(pattern string) string {
	if pattern == "" {
		return "unknown"
	}
	return pattern
}

func (m *Metrics) observe(call string, status int, took time.Duration, found *note) {
	m.calls.WithLabelValues(call, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(call).Observe(took.Seconds())
	if found.problem != nil {
		m.problems.WithLabelValues(found.problem.Kind(), found.problem.Reason).Inc()
	}
	if found.outcome == "accepted" && status == http.StatusCreated {
		m.accepted.Inc()
	}
}

// log writes the access log: who, what, with which outcome. Neither bodies nor signatures nor certificates are in it.
func (s *Server) log(r *http.Request, call string, w *countingWriter, took time.Duration, found *note) {
	fields := []any{"call", call, "status", w.code(), "bytes", w.bytes, "duration", took.Round(time.Microsecond).String(), "remote", r.RemoteAddr, "client", found.client, "role", string(found.role)}
	if found.name != "" {
		fields = append(fields, "name", found.name)
	}
	if found.digest != "" {
		fields = append(fields, "revision", found.revision, "digest", found.digest)
	}
	if found.outcome != "" {
		fields = append(fields, "outcome", found.outcome)
	}
	if len(found.officers) > 0 {
		fields = append(fields, "officers", found.officers)
	}
	level := slog.LevelInfo
	if found.problem != nil {
		fields = append(fields, "problem", found.problem.Kind(), "reason", found.problem.Reason)
	}
	if found.cause != nil {
		level = slog.LevelError
		fields = append(fields, "cause", found.cause.Error())
	}
	s.config.Log.Log(r.Context(), level, "call", fields...)
}

// countingWriter remembers what was answered.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Operations answers metrics and health, without TLS: for a listener that only the platform can reach.
func (s *Server) Operations() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		switch {
		case s.Draining():
			http.Error(w, "going down", http.StatusServiceUnavailable)
		case s.config.Store.Ping(ctx) != nil:
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprintln(w, "ok")
		}
	})
	return mux
}
