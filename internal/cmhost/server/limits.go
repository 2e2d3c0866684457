package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"golang.org/x/time/rate"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
)

const (
	// MaxBody is the most that a submission can have: request and two signatures in base64, and what is around them.
	MaxBody = 256 << 10
	// MaxWait is the longest wait for a change.
	MaxWait = 60 * time.Second
	// maxClients bounds how many clients' rates are remembered.
	maxClients = 10_000
	// worthGzip is from how many bytes on an answer is compressed.
	worthGzip = 1024
)

// Limits bound what clients may cost. Zero values mean the defaults.
type Limits struct {
	// Rate is how many calls a second one client may make in the long run, Burst how many at once. A negative rate means
	// no limit.
	Rate  float64
	Burst int
	// Calls is how many calls are answered at the same time, LongPolls how many wait for changes.
	Calls, LongPolls int
	// Header is the time to send a call's header, or to shake hands; Request the time to send all of it; Call the time to
	// work on it, waiting for changes not included; Answer the time to read its answer, from the header on; Idle the time
	// between two calls of a connection.
	Header, Request, Call, Answer, Idle time.Duration
}

func (l Limits) orDefaults() Limits {
	return Limits{
		Rate: cmp.Or(l.Rate, 500), Burst: cmp.Or(max(l.Burst, 0), 1000),
		Calls: cmp.Or(max(l.Calls, 0), 256), LongPolls: cmp.Or(max(l.LongPolls, 0), 1024),
		Header: cmp.Or(l.Header, 10*time.Second), Request: cmp.Or(l.Request, 30*time.Second), Call: cmp.Or(l.Call, 25*time.Second),
		Answer: cmp.Or(l.Answer, MaxWait+25*time.Second), Idle: cmp.Or(l.Idle, 2*time.Minute),
	}
}

// limiter keeps clients within the limits.
type limiter struct {
	limits    Limits
	calls     chan struct{}
	longPolls chan struct{}

	mutex sync.Mutex
	rates map[string]*rate.Limiter
}

func newLimiter(limits Limits) *limiter {
	return &limiter{
		limits: limits, rates: map[string]*rate.Limiter{},
		calls: make(chan struct{}, limits.Calls), longPolls: make(chan struct{}, limits.LongPolls),
	}
}

// limited refuses what is too much with `busy`.
func (l *limiter) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if delay := l.delay(noted(r.Context()).client); delay > 0 {
			busy := problem.New(cmhostv1.ProblemBusy, "this client makes more than %v calls a second: try again after the time in Retry-After", l.limits.Rate)
			busy.RetryAfter = delay
			respond(w, r, busy)
			return
		}
		places := l.calls
		if isLongPoll(r) {
			places = l.longPolls
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next.ServeHTTP(w, r)
		default:
			respond(w, r, problem.New(cmhostv1.ProblemBusy, "%d calls are being answered: try again after the time in Retry-After", cap(places)))
		}
	})
}

// delay is after what time a client may make the call; zero for now.
func (l *limiter) delay(client string) time.Duration {
	if l.limits.Rate < 0 {
		return 0
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	of, known := l.rates[client]
	if !known {
		if len(l.rates) >= maxClients {
			clear(l.rates)
		}
		of = rate.NewLimiter(rate.Limit(l.limits.Rate), l.limits.Burst)
		l.rates[client] = of
	}
	reservation := of.Reserve()
	delay := reservation.Delay()
	if delay > 0 {
		reservation.Cancel()
	}
	return delay
}

func isLongPoll(r *http.Request) bool { return r.URL.Path == "/v1/changes" }

// bounded limits the time of a call and the size of its body.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := s.config.Limits.Call
		if isLongPoll(r) {
			limit += MaxWait
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// compressed compresses answers where that pays and the client can read them: not those to submissions, which are for
// the most part signatures.
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(worthGzip), gzhttp.EnableZstd(false))
	if err != nil {
		panic("the options of gzip are constant: " + err.Error())
	}
	compressing := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			compressing.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// known refuses calls that the contract does not have, and paths that are not written as they should be.
func (s *Server) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Pattern == "" {
			s.refuse(w, r, problem.New(cmhostv1.ProblemNotFound, "there is no such call"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readable refuses a query of which net/url would leave out what it cannot read. Several lines of If-None-Match are one
// list, which the generated code does not know.
func (s *Server) readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
			s.refuse(w, r, problem.New(cmhostv1.ProblemMalformed, "the query cannot be read: %s", err))
			return
		}
		if lines := r.Header.Values("If-None-Match"); len(lines) > 1 {
			r.Header.Set("If-None-Match", strings.Join(lines, ", "))
		}
		next.ServeHTTP(w, r)
	})
}

// patternOf is the call of the contract that a request makes; empty if it makes none.
func patternOf(mux *http.ServeMux, r *http.Request) string {
	if path.Clean(r.URL.Path) != r.URL.Path {
		return ""
	}
	_, pattern := mux.Handler(r)
	return pattern
}
