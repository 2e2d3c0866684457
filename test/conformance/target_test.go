package conformance

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/postgrestest"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

var flags = struct{ host, ca, cert, key, readerCert, readerKey, unlistedCert, unlistedKey, officers *string }{
	host:         flag.String("host", "", "URL of the host to check; the reference host if empty"),
	ca:           flag.String("ca", "", "what the host's certificate leads to, PEM"),
	cert:         flag.String("cert", "", "a submitter's certificate, PEM"),
	key:          flag.String("key", "", "the submitter's key, PEM"),
	readerCert:   flag.String("reader-cert", "", "a reader's certificate, PEM"),
	readerKey:    flag.String("reader-key", "", "the reader's key, PEM"),
	unlistedCert: flag.String("unlisted-cert", "", "certificate of a client without a role, PEM; optional"),
	unlistedKey:  flag.String("unlisted-key", "", "the key of the client without a role, PEM; optional"),
	officers:     flag.String("officers", "", "folder with officer-N.crt and officer-N.key"),
}

// target is a host to check, and who can be at it.
type target struct {
	url string
	ca  []byte
	// clients by role; unlisted may be missing.
	clients map[string]hosttest.Credentials
	// officers by name.
	officers map[string]signingtest.Officer
	// apart makes a connection for each call, so that each may reach another host behind a load balancer.
	apart bool
}

func TestHost(t *testing.T) {
	if *flags.host != "" {
		check(t, given(t))
		return
	}
	t.Run("the reference host on SQLite", func(t *testing.T) {
		_, to := reference(t, "")
		check(t, throughFlags(t, to))
	})
	t.Run("two reference hosts on PostgreSQL behind a load balancer", func(t *testing.T) {
		server, err := postgrestest.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
		database, err := server.NewDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		host, to := reference(t, database)
		other, err := host.Another()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, other) })
		balancer := balance(t, host.URL, other.URL)
		to.url, to.apart = balancer.url, true
		check(t, to)
		for i := range balancer.taken {
			if count := balancer.taken[i].Load(); count < 50 {
				t.Errorf("host %d got %d connections: expected half of them", i+1, count)
			}
		}
	})
}

func stop(t *testing.T, host *hosttest.Host) {
	t.Helper()
	if err := host.Stop(); err != nil {
		t.Error(err)
	}
}

// balancer hands connections to two hosts by turns.
type balancer struct {
	url   string
	taken [2]atomic.Int64
}

func balance(t *testing.T, urls ...string) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	b := &balancer{url: "https://" + listener.Addr().String()}
	go func() {
		for next := 0; ; next = 1 - next {
			client, err := listener.Accept()
			if err != nil {
				return // the test ends
			}
			b.taken[next].Add(1)
			go join(client, strings.TrimPrefix(urls[next], "https://"))
		}
	}()
	return b
}

// join passes bytes between a client and a host until both have ended.
func join(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	host, err := net.Dial("tcp", address)
	if err != nil {
		return // the client sees that its connection ends
	}
	defer func() { _ = host.Close() }()
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: host, host: client} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}

// throughFlags names a target by flags and files, as somebody does who checks a host of their own.
func throughFlags(t *testing.T, to target) target {
	t.Helper()
	folder := t.TempDir()
	name := func(flag *string, file string, content []byte) {
		*flag = filepath.Join(folder, file)
		if err := os.WriteFile(*flag, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name(flags.ca, "ca.crt", to.ca)
	name(flags.cert, "submitter.crt", to.clients["submitter"].Certificate)
	name(flags.key, "submitter.key", to.clients["submitter"].Key)
	name(flags.readerCert, "reader.crt", to.clients["reader"].Certificate)
	name(flags.readerKey, "reader.key", to.clients["reader"].Key)
	name(flags.unlistedCert, "unlisted.crt", to.clients["unlisted"].Certificate)
	name(flags.unlistedKey, "unlisted.key", to.clients["unlisted"].Key)
	for id, officer := range to.officers {
		officer.WriteFiles(t, folder, id)
	}
	*flags.host, *flags.officers = to.url, folder
	t.Cleanup(func() { *flags.host = "" })
	return given(t)
}

// reference starts the reference host with officers of every kind.
func reference(t *testing.T, database string) (*hosttest.Host, target) {
	t.Helper()
	officers := map[string]signingtest.Officer{}
	add := func(name string, officer signingtest.Officer, change func(*signingtest.Officer)) {
		if change != nil {
			change(&officer)
		}
		officers[name] = officer
	}
	add("officer-1", signingtest.New(t, "officer-1"), nil)
	add("officer-1b", officers["officer-1"].Renewed(t), nil)
	add("officer-2", signingtest.New(t, "officer-2", func(o *signingtest.Options) { o.Kind = signingtest.RSA }), nil)
	add("officer-3", signingtest.New(t, "officer-3"), func(o *signingtest.Officer) { o.Roles = o.Roles[:1] })
	add("officer-4", signingtest.New(t, "officer-4"), func(o *signingtest.Officer) { o.State = "Closed" })
	add("officer-5", signingtest.New(t, "officer-5", func(o *signingtest.Options) { o.Validity = signingtest.Expired }), nil)
	add("officer-6", signingtest.New(t, "officer-6"), func(o *signingtest.Officer) { o.Domain = "Emea" })
	var registered []signingtest.Officer
	for _, officer := range officers {
		registered = append(registered, officer)
	}
	add("stranger", signingtest.New(t, "stranger"), nil)
	host, err := hosttest.Start(t.TempDir(), hosttest.Options{Database: database, Officers: signingtest.Officers(registered...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, host) })
	return host, target{
		url: host.URL, ca: host.CA, officers: officers,
		clients: map[string]hosttest.Credentials{"submitter": host.Submitter, "reader": host.Reader, "unlisted": host.Unlisted},
	}
}

// given is the host that the flags name.
func given(t *testing.T) target {
	t.Helper()
	to := target{url: *flags.host, ca: read(t, *flags.ca), officers: map[string]signingtest.Officer{}, clients: map[string]hosttest.Credentials{
		"submitter": {Certificate: read(t, *flags.cert), Key: read(t, *flags.key)},
		"reader":    {Certificate: read(t, *flags.readerCert), Key: read(t, *flags.readerKey)},
	}}
	if *flags.unlistedCert != "" {
		to.clients["unlisted"] = hosttest.Credentials{Certificate: read(t, *flags.unlistedCert), Key: read(t, *flags.unlistedKey)}
	}
	for _, name := range []string{"officer-1", "officer-1b", "officer-2", "officer-3", "officer-4", "officer-5", "officer-6", "stranger"} {
		path := filepath.Join(*flags.officers, name)
		if _, err := os.Stat(path + ".crt"); err == nil {
			to.officers[name] = readOfficer(t, name, path)
		}
	}
	for _, needed := range []string{"officer-1", "officer-2"} {
		if to.officers[needed].Key == nil {
			t.Fatalf("%s.crt and %s.key are needed in the folder of -officers", needed, needed)
		}
	}
	return to
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (see the flags of this package: go test ./test/conformance -args -help)", err)
	}
	return content
}

func readOfficer(t *testing.T, id, path string) signingtest.Officer {
	t.Helper()
	pair, err := tls.X509KeyPair(read(t, path+".crt"), read(t, path+".key"))
	if err != nil {
		t.Fatal(err)
	}
	officer := signingtest.Officer{Certificate: pair.Leaf}
	officer.ID = id
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("%s.key cannot sign", path)
	}
	officer.Key = signer
	return officer
}

// client connects with the credentials of a role, or without any.
func (to target) client(t *testing.T, role string, version uint16) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(to.ca) {
		t.Fatal("the CA is not PEM")
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, MaxVersion: version}
	if role != "" {
		credentials := to.clients[role]
		pair, err := tls.X509KeyPair(credentials.Certificate, credentials.Key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: to.apart}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 90 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return fmt.Errorf("the host redirects; it must not")
	}}
}
