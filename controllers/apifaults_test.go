package controllers_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// rough is a rough road to the API server: writes get lost before or after they are made, or meet a server that is
// restarting; what is watched arrives late, so that caches are stale.
type rough struct {
	chance *dice
	mu     sync.Mutex
	counts map[string]int
}

func newRough(chance *dice) *rough { return &rough{chance: chance, counts: map[string]int{}} }

// lag is how late a cache hears of a change at most.
const lag = 400 * time.Millisecond

var errRough = errors.New("the API server's connection broke")

func (r *rough) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

func (r *rough) wrap(config *rest.Config) *rest.Config {
	wrapped := rest.CopyConfig(config)
	wrapped.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.Method == http.MethodGet {
				response, err := next.RoundTrip(request)
				if err == nil && strings.Contains(request.URL.RawQuery, "watch=true") {
					response.Body = &late{ReadCloser: response.Body, road: r}
				}
				return response, err
			}
			switch {
			case r.chance.falls(20):
				r.note("a write is lost")
				return nil, errRough
			case r.chance.falls(20):
				r.note("a server that is restarting")
				return unavailable(request), nil
			}
			response, err := next.RoundTrip(request)
			if err == nil && r.chance.falls(30) {
				r.note("the answer to a write is lost")
				return nil, errors.Join(errRough, response.Body.Close())
			}
			return response, err
		})
	})
	return wrapped
}

func unavailable(request *http.Request) *http.Response {
	const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"restarting","reason":"ServiceUnavailable","code":503}`
	return &http.Response{
		Status: "503 Service Unavailable", StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(status)), Request: request,
	}
}

// late is a watch whose events come late, or which breaks.
type late struct {
	io.ReadCloser
	road *rough
}

// Read implements io.Reader.
func (l *late) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	switch {
	case err != nil:
	case l.road.chance.falls(4):
		l.road.note("a watch breaks")
		return 0, errRough
	case l.road.chance.falls(200):
		l.road.note("a cache is stale")
		<-time.After(time.Duration(l.road.chance.pick(int(lag)))) // the fault itself
	}
	return n, err
}
