package controllers_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// fault is one way in which the road to a CM host fails.
type fault string

const (
	faultNone      fault = ""
	faultReset     fault = "reset before the host hears of it"
	faultLost      fault = "the host hears of it, its answer is lost"
	faultHalf      fault = "half an answer"
	faultSlow      fault = "a slow answer"
	faultBusy      fault = "429 with Retry-After"
	faultDown      fault = "503 with Retry-After"
	faultGarbage   fault = "a page of somebody else"
	faultTruncated fault = "JSON that ends early, well framed"
	faultRedirect  fault = "a redirect"
	faultPlainText fault = "the right answer as plain text"
	faultReplayed  fault = "200 with the answer to another call of the kind"
	faultAudience  fault = "a host of another audience"
)

var allFaults = []fault{
	faultReset, faultLost, faultHalf, faultSlow, faultBusy, faultDown, faultGarbage, faultTruncated, faultRedirect, faultPlainText, faultReplayed, faultAudience,
}

// proxy stands between an operator and its host, with the host's certificate, and makes what passes fail.
type proxy struct {
	URL    string
	choose func(*http.Request) fault

	host   *url.URL
	client *http.Client
	server *http.Server

	mu       sync.Mutex
	injected map[fault]int
	calls    map[string]int
	unheard  map[string]int    // answers that came too late for whom asked, by operation
	last     map[string]replay // by operation
}

// replay is an answer to be given again.
type replay struct {
	path string
	body []byte
}

// newProxy stands before the host of a world. choose says what becomes of each call; it is called by many goroutines.
func newProxy(w *world, choose func(*http.Request) fault, changes ...func(*tls.Config)) *proxy {
	GinkgoHelper()
	client, err := w.host.HTTPClient(w.host.Submitter)
	Expect(err).NotTo(HaveOccurred())
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	address, err := url.Parse(w.host.URL)
	Expect(err).NotTo(HaveOccurred())
	p := &proxy{choose: choose, host: address, client: client, injected: map[fault]int{}, calls: map[string]int{}, unheard: map[string]int{}, last: map[string]replay{}}
	own, err := tls.X509KeyPair(w.host.Own.Certificate, w.host.Own.Key)
	Expect(err).NotTo(HaveOccurred())
	clients := x509.NewCertPool()
	Expect(clients.AppendCertsFromPEM(w.host.CA)).To(BeTrue())
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}
	for _, change := range changes {
		change(config)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	Expect(err).NotTo(HaveOccurred())
	p.URL = "https://" + listener.Addr().String()
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = p.server.Serve(listener) }()
	DeferCleanup(func() { _ = p.server.Close() })
	return p
}

// ServeHTTP lets a call pass, or not.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	chosen := p.choose(r)
	p.mu.Lock()
	p.calls[operationOf(r)]++
	if chosen != faultNone {
		p.injected[chosen]++
	}
	p.mu.Unlock()
	switch chosen {
	case faultReset:
		reset(w)
		return
	case faultBusy, faultDown:
		answerBusy(w, chosen)
		return
	case faultGarbage:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Welcome to the hotel's network</html>")
		return
	case faultRedirect:
		http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusTemporaryRedirect)
		return
	case faultSlow:
		<-time.After(300 * time.Millisecond) // the fault itself, not a wait for something
	}
	p.forward(w, r, chosen)
}

// forward asks the host and answers what it answers, as far as the fault lets it.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, chosen fault) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		reset(w)
		return
	}
	onward := r.Clone(r.Context())
	onward.RequestURI, onward.URL.Scheme, onward.URL.Host, onward.Host = "", p.host.Scheme, p.host.Host, p.host.Host
	onward.Body = io.NopCloser(bytes.NewReader(body))
	response, err := p.client.Do(onward)
	if r.Context().Err() != nil {
		p.mu.Lock()
		p.unheard[operationOf(r)]++
		p.mu.Unlock()
	}
	if err != nil {
		reset(w)
		return
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || chosen == faultLost {
		reset(w)
		return
	}
	maps.Copy(w.Header(), response.Header)
	if chosen = p.distort(w, r, chosen, &answer); chosen == faultTruncated {
		answer = answer[:len(answer)/2]
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
	}
	w.WriteHeader(response.StatusCode)
	if chosen == faultHalf {
		_, _ = w.Write(answer[:len(answer)/2])
		_ = http.NewResponseController(w).Flush()
		reset(w)
		return
	}
	_, _ = w.Write(answer)
}

// distort makes another answer of the right one, as the fault wants it.
func (p *proxy) distort(w http.ResponseWriter, r *http.Request, chosen fault, answer *[]byte) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, found := p.last[operationOf(r)]
	switch {
	case chosen == faultPlainText:
		w.Header().Set("Content-Type", "text/plain")
	case chosen == faultAudience && operationOf(r) == "GET host":
		*answer = bytes.Replace(*answer, []byte(`"audience":"`), []byte(`"audience":"not.`), 1)
		w.Header().Del("Content-Length")
	case chosen == faultReplayed && r.Method == http.MethodGet && found && before.path != r.URL.Path, chosen == faultReplayed && r.Method == http.MethodPut && found:
		*answer = before.body
		w.Header().Del("Content-Length")
	case chosen == faultAudience, chosen == faultReplayed: // there is nothing to distort
		p.injected[chosen]--
	}
	if len(*answer) > 0 && chosen == faultNone {
		p.last[operationOf(r)] = replay{r.URL.Path, *answer}
	}
	return chosen
}

// reset breaks the connection as a router that lost its state does.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if inner, ok := connection.(*tls.Conn); ok {
		if tcp, ok := inner.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	_ = connection.Close()
}

func answerBusy(w http.ResponseWriter, chosen fault) {
	status, kind := http.StatusTooManyRequests, "busy"
	if chosen == faultDown {
		status, kind = http.StatusServiceUnavailable, "unavailable"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"https://tokenprocedures.dev/problems/%s","title":"later","status":%d,"detail":"the proxy says so"}`, kind, status)
}

func operationOf(r *http.Request) string {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if len(path) > 1 {
		path[1] = "{name}"
	}
	return r.Method + " " + strings.Join(path, "/")
}

// count is how often an operation was called.
func (p *proxy) count(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[operation]
}

// late is how often an operation took longer than the operator waits for an answer, which only a busy machine does.
func (p *proxy) late(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unheard[operation]
}

func (p *proxy) total() (calls, faults int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, count := range p.calls {
		calls += count
	}
	for _, count := range p.injected {
		faults += count
	}
	return calls, faults
}

// kinds are how often each fault was made.
func (p *proxy) kinds() map[fault]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.injected)
}

// dice are faults by chance, from a seed.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
	// chance is the share of calls that fail, in percent; 0 lets all pass.
	chance atomic.Int64
}

func newDice(seed uint64) *dice { return &dice{random: rand.New(rand.NewPCG(seed, seed))} }

func (d *dice) choose(*http.Request) fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.random.Int64N(100) >= d.chance.Load() {
		return faultNone
	}
	return allFaults[d.random.IntN(len(allFaults))]
}

// falls tells whether something that happens with a chance, in percent of the dice's own, happens now.
func (d *dice) falls(percent int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Int64N(10_000) < d.chance.Load()*percent
}

// pick is a number below n.
func (d *dice) pick(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(n)
}
