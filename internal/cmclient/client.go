package cmclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	// MaxAnswer is how many bytes of an answer are read.
	MaxAnswer = 4 << 20
	// maxObjects is how many JSON objects an answer may have: more than any that a CM host gives, and few enough that
	// decoding them takes no more memory than a few times the answer.
	maxObjects = 100_000
	// callTimeout bounds every call but the long poll. It is well below the time that a reconcile has.
	callTimeout = 10 * time.Second
	// pageSize is the number of procedures or changes per page, the most that the interface allows.
	pageSize = 500
)

// Observe hears of every call to the host: the operation and how it ended.
type Observe func(operation, result string, took time.Duration)

// Client makes single calls to a CM host. It is safe for concurrent use.
type Client struct {
	api     *cmhostv1.Client
	observe Observe
	close   func()
}

// NewClient is a client for the host at url, with the certificates in tlsConfig. It makes no call yet.
func NewClient(url string, tlsConfig *tls.Config, observe Observe) (*Client, error) {
	tlsConfig = tlsConfig.Clone()
	tlsConfig.MinVersion = tls.VersionTLS13
	transport := &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	doer := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	api, err := cmhostv1.NewClient(strings.TrimSuffix(url, "/"), cmhostv1.WithHTTPClient(doer), cmhostv1.WithRequestEditorFn(propagate))
	if err != nil {
		return nil, fmt.Errorf("spec.url %q: %w", url, err)
	}
	return &Client{api: api, observe: observe, close: transport.CloseIdleConnections}, nil
}

// Close gives idle connections back.
func (c *Client) Close() { c.close() }

// call is one exchange: the request that send makes, and the answer decoded into a value unless it is nil.
type call struct {
	operation string
	timeout   time.Duration
	send      func(ctx context.Context) (*http.Response, error)
	into      any
	// also is a status beside 200 that is no failure.
	also int
	// once is set where a failure must be heard of at once: for submissions, and for the long poll, which shows that the
	// host has not been exchanged for a restored one.
	once bool
}

// reply is what an answer was, beside its content.
type reply struct {
	status int
	etag   string
	// size of the body, in bytes.
	size int
}

const (
	// attempts is how often a read is tried before the host counts as one that cannot be used: a road that loses some
	// packets is no outage.
	attempts = 3
	// quickly is how fast an attempt must have failed to be made again at once.
	quickly = time.Second
)

// do makes a call; a read that fails quickly is made a few times.
func (c *Client) do(ctx context.Context, exchange call) (answer reply, err error) {
	for attempt := 1; ; attempt++ {
		started := time.Now()
		answer, err = c.try(ctx, exchange)
		failure, failed := errors.AsType[*Failure](err)
		if !failed || exchange.once || attempt == attempts || time.Since(started) > quickly || failure.RetryAfter > quickly ||
			failure.Reason == v1alpha1.ReasonTLSRefused {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(max(failure.RetryAfter, time.Duration(attempt)*50*time.Millisecond) + rand.N(50*time.Millisecond)):
		}
	}
}

// try makes one attempt at a call. Whatever is not the expected answer is a *Failure or a *Refusal.
func (c *Client) try(ctx context.Context, exchange call) (answer reply, err error) {
	started := time.Now()
	ctx, end := traced(ctx, exchange.operation)
	defer func() {
		end(resultOf(err))
		c.observe(exchange.operation, resultOf(err), time.Since(started))
	}()
	if exchange.timeout == 0 {
		exchange.timeout = callTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, exchange.timeout)
	defer cancel()
	response, err := exchange.send(ctx)
	if err != nil {
		return answer, transportFailure(err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	answer = reply{status: response.StatusCode, etag: response.Header.Get("ETag"), size: len(body)}
	switch {
	case err != nil:
		return answer, transportFailure(err)
	case len(body) > MaxAnswer:
		return answer, wrongContent(exchange.operation, "more than %d bytes", MaxAnswer)
	case exchange.also != 0 && response.StatusCode == exchange.also && exchange.also == http.StatusNotModified:
		return answer, nil
	case response.StatusCode != http.StatusOK && response.StatusCode != exchange.also:
		return answer, problemOf(exchange.operation, response, body)
	case bytes.Count(body, []byte("{")) > maxObjects:
		return answer, wrongContent(exchange.operation, "more than %d JSON objects", maxObjects)
	}
	if media, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return answer, wrongContent(exchange.operation, "content type %q", response.Header.Get("Content-Type"))
	}
	if err := json.Unmarshal(body, exchange.into); err != nil {
		return answer, wrongContent(exchange.operation, "%v", err)
	}
	return answer, nil
}

// problemOf reads a refusal. What is not a problem document of a known type means that the host cannot be used now.
func problemOf(operation string, response *http.Response, body []byte) error {
	var problem cmhostv1.Problem
	media, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || media != "application/problem+json" || json.Unmarshal(body, &problem) != nil {
		failure := wrongContent(operation, "status %d", response.StatusCode)
		failure.RetryAfter = retryAfter(response)
		return failure
	}
	kind, known := strings.CutPrefix(problem.Type, problemPrefix)
	switch {
	case known && refusalTypes[kind] && response.StatusCode < http.StatusInternalServerError:
		return &Refusal{Type: kind, Reason: cleanReason(problem.Reason), Detail: Clean(problem.Detail)}
	case known && (kind == ProblemBusy || kind == ProblemUnavailable):
		return &Failure{Reason: v1alpha1.ReasonUnreachable, RetryAfter: retryAfter(response),
			Message: "the CM host is " + kind + ": it is asked again. It says: " + Clean(problem.Detail)}
	}
	failure := wrongContent(operation, "status %d, problem %q", response.StatusCode, problem.Type)
	failure.RetryAfter = retryAfter(response)
	return failure
}

// cleanReason keeps one CamelCase word.
func cleanReason(reason string) string {
	if len(reason) > 64 || strings.ContainsFunc(reason, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) {
		return ""
	}
	return reason
}

func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 3600))*time.Second, MaxRetryAfter)
}

func resultOf(err error) string {
	var refusal *Refusal
	var failure *Failure
	switch {
	case err == nil:
		return resultOK
	case errors.As(err, &refusal):
		return refusal.Type
	case errors.As(err, &failure):
		return failure.Reason
	}
	return "error"
}

// host asks what the host says of itself.
func (c *Client) host(ctx context.Context) (cmhostv1.Host, error) {
	var host cmhostv1.Host
	_, err := c.do(ctx, call{operation: "getHost", into: &host, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.GetHost(ctx)
	}})
	if err == nil && host.Audience == "" {
		err = wrongContent("getHost", "no audience")
	}
	return host, err
}

// officers asks for the register, unless it is still the one with this ETag.
func (c *Client) officers(ctx context.Context, etag string) (list cmhostv1.OfficerList, newTag string, changed bool, err error) {
	answer, err := c.do(ctx, call{operation: "listOfficers", into: &list, also: http.StatusNotModified, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.ListOfficers(ctx, &cmhostv1.ListOfficersParams{IfNoneMatch: ifSet(etag)})
	}})
	return list, answer.etag, answer.status == http.StatusOK, err
}

// catalog asks for the catalogue, unless it is still the one with this ETag.
func (c *Client) catalog(ctx context.Context, etag string) (catalog cmhostv1.Catalog, newTag string, changed bool, err error) {
	answer, err := c.do(ctx, call{operation: "getCatalog", into: &catalog, also: http.StatusNotModified, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.GetCatalog(ctx, &cmhostv1.GetCatalogParams{IfNoneMatch: ifSet(etag)})
	}})
	return catalog, answer.etag, answer.status == http.StatusOK, err
}

// procedures asks for one page of the list.
func (c *Client) procedures(ctx context.Context, after string) (page cmhostv1.TokenProcedureList, err error) {
	limit := pageSize
	_, err = c.do(ctx, call{operation: "listTokenProcedures", into: &page, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.ListTokenProcedures(ctx, &cmhostv1.ListTokenProceduresParams{After: ifSet(after), Limit: &limit})
	}})
	return page, err
}

// procedure asks for one procedure with its content; size is that of the answer.
func (c *Client) procedure(ctx context.Context, name string) (procedure cmhostv1.TokenProcedure, size int, err error) {
	answer, err := c.do(ctx, call{operation: "getTokenProcedure", into: &procedure, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.GetTokenProcedure(ctx, name)
	}})
	return procedure, answer.size, err
}

// history asks for one part of a procedure's history, from behind a revision; size is that of the answer.
func (c *Client) history(ctx context.Context, name string, after int64) (page cmhostv1.TokenProcedureHistory, size int, err error) {
	params := &cmhostv1.GetTokenProcedureHistoryParams{}
	if after != 0 {
		params.After = &after
	}
	answer, err := c.do(ctx, call{operation: "getTokenProcedureHistory", into: &page, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.GetTokenProcedureHistory(ctx, name, params)
	}})
	return page, answer.size, err
}

// put submits a request with its two signatures; created tells that the host had not accepted it before.
func (c *Client) put(ctx context.Context, name string, submission cmhostv1.Submission) (procedure cmhostv1.TokenProcedure, created bool, err error) {
	answer, err := c.do(ctx, call{operation: "putTokenProcedure", once: true, into: &procedure, also: http.StatusCreated, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.PutTokenProcedure(ctx, name, submission)
	}})
	return procedure, answer.status == http.StatusCreated, err
}

// logEntry asks for the log entry at an index; false where the log does not have it.
func (c *Client) logEntry(ctx context.Context, index int64) (entry cmhostv1.LogEntry, found bool, err error) {
	after, limit := index-1, 1
	var page cmhostv1.LogPage
	_, err = c.do(ctx, call{operation: "readLog", into: &page, send: func(ctx context.Context) (*http.Response, error) {
		return c.api.ReadLog(ctx, &cmhostv1.ReadLogParams{After: &after, Limit: &limit})
	}})
	if err != nil || len(page.Items) == 0 {
		return entry, false, err
	}
	return page.Items[0], page.Items[0].Index == index, nil
}

// changes asks what changed behind a cursor, waiting at the host for as long as nothing does.
func (c *Client) changes(ctx context.Context, after string, wait time.Duration) (changes cmhostv1.Changes, err error) {
	seconds := int(wait / time.Second)
	_, err = c.do(ctx, call{operation: watchChanges, once: wait > 0, timeout: wait + callTimeout, into: &changes, send: func(ctx context.Context) (*http.Response, error) {
		if wait > 0 {
			ctx = onOneConnection(ctx)
		}
		return c.api.WatchChanges(ctx, &cmhostv1.WatchChangesParams{After: ifSet(after), Wait: &seconds})
	}})
	return changes, err
}

// onOneConnection ends a call that net/http sends again by itself because its connection broke: that the host went away
// must be heard of.
func onOneConnection(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	taken := false
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if taken {
			cancel()
		}
		taken = true
	}})
}

func ifSet(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
