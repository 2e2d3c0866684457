// Package hosttest runs the reference CM host inside a test: on a loopback port, with certificates of its own and a
// SQLite file in a folder that the test gives. Only tests may import it.
package hosttest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/config/samples/host"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/server"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// Audience is what a host is where nothing else is said.
const Audience = "cm.test"

// Options say what a host is like. The zero value is an empty host.
type Options struct {
	// Audience is Audience if empty.
	Audience string
	// Database is the file host.db in the test's folder if empty.
	Database string
	Officers []signing.Officer
	// Catalog is SampleCatalog if nil.
	Catalog *rules.Catalog
	// Procedures were made elsewhere.
	Procedures      []request.Procedure
	MaxSignatureAge time.Duration
	Limits          server.Limits
	// Now is the host's clock; time.Now if nil.
	Now func() time.Time
	// Log gets the access log; nil discards it.
	Log *slog.Logger
}

// Host is a running host.
type Host struct {
	// URL is where it serves; the same again after a restart.
	URL      string
	Audience string
	// CA is what clients must trust, PEM.
	CA []byte
	// Submitter and Reader are permitted clients. Unlisted is a client of the same CA without a role.
	Submitter, Reader, Unlisted Credentials
	// Own are the host's, for running the program on the same database.
	Own Credentials

	options Options
	own     tls.Certificate
	pool    *x509.CertPool
	address string
	running *run
}

// run is the host from one start to the next stop.
type run struct {
	store  *store.Store
	server *server.Server
	stop   context.CancelFunc
	ended  chan error
}

// SampleCatalog is the catalogue of the local stack.
func SampleCatalog() (*rules.Catalog, error) {
	catalog := &rules.Catalog{}
	return catalog, yaml.UnmarshalStrict(host.Catalog, catalog)
}

// Start starts a host that keeps its database in a folder.
func Start(folder string, options Options) (*Host, error) {
	if options.Audience == "" {
		options.Audience = Audience
	}
	if options.Database == "" {
		options.Database = filepath.Join(folder, "host.db")
	}
	h := &Host{Audience: options.Audience, options: options, address: "127.0.0.1:0"}
	if err := h.certify(); err != nil {
		return nil, err
	}
	if err := h.Restart(); err != nil {
		return nil, err
	}
	catalog := options.Catalog
	if catalog == nil {
		var err error
		if catalog, err = SampleCatalog(); err != nil {
			return nil, errors.Join(err, h.Stop())
		}
	}
	if err := h.Load(load.Input{Officers: options.Officers, Catalog: catalog, Procedures: options.Procedures}); err != nil {
		return nil, errors.Join(err, h.Stop())
	}
	return h, nil
}

// certify makes the certificates.
func (h *Host) certify() error {
	ca, err := newAuthority("hosttest CA")
	if err != nil {
		return err
	}
	if h.Own, err = ca.issue("cm.test", x509.ExtKeyUsageServerAuth); err != nil {
		return err
	}
	if h.own, err = h.Own.pair(); err != nil {
		return err
	}
	h.CA, h.pool = ca.pem(), x509.NewCertPool()
	h.pool.AddCert(ca.certificate)
	for name, into := range map[string]*Credentials{"submitter": &h.Submitter, "reader": &h.Reader, "unlisted": &h.Unlisted} {
		if *into, err = ca.issue(name+".test", x509.ExtKeyUsageClientAuth); err != nil {
			return err
		}
	}
	return nil
}

// Restart starts the host again on the same port and store, stopping it first if it runs.
func (h *Host) Restart() error {
	if err := h.Stop(); err != nil {
		return err
	}
	clients, err := server.NewClients([]string{"dns:submitter.test"}, []string{"dns:reader.test"})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	opened, err := store.Open(ctx, h.options.Database, store.Options{Poll: 20 * time.Millisecond})
	if err != nil {
		stop()
		return err
	}
	served, err := server.New(ctx, server.Config{
		Audience: h.Audience, Version: "test", MaxSignatureAge: h.options.MaxSignatureAge, Store: opened,
		Clients: clients, Limits: h.options.Limits, Log: h.options.Log, Now: h.options.Now,
	})
	if err != nil {
		stop()
		return errors.Join(err, opened.Close())
	}
	listener, err := net.Listen("tcp", h.address)
	if err != nil {
		stop()
		return errors.Join(err, opened.Close())
	}
	h.address = listener.Addr().String()
	h.URL = "https://" + h.address
	h.running = &run{store: opened, server: served, stop: stop, ended: make(chan error, 1)}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{h.own}, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: h.pool, NextProtos: []string{"h2", "http/1.1"},
	}
	ended := h.running.ended
	go func() { ended <- served.Serve(ctx, listener, config) }()
	return nil
}

// Another starts one more host on the same database, with the same certificates, on a port of its own.
func (h *Host) Another() (*Host, error) {
	other := *h
	other.address, other.running = "127.0.0.1:0", nil
	return &other, other.Restart()
}

// Stop ends the host after the calls under way. A host that does not run is stopped already.
func (h *Host) Stop() error {
	if h.running == nil {
		return nil
	}
	stopping := h.running
	h.running = nil
	stopping.stop()
	return errors.Join(<-stopping.ended, stopping.store.Close())
}

// Load loads register, catalogue or procedures made elsewhere, as `cmhost load` does from another process.
func (h *Host) Load(input load.Input) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if input.Now.IsZero() {
		input.Now = time.Now().UTC().Truncate(time.Millisecond)
	}
	other, err := store.Open(ctx, h.options.Database, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	_, _, err = load.Load(ctx, other, input)
	return err
}

// WaitForCalls waits until the number of calls that are being answered is as wanted, or the context ends.
func (h *Host) WaitForCalls(ctx context.Context, wanted func(inFlight int) bool) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !wanted(h.running.server.InFlight()) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Database is the address of the host's database.
func (h *Host) Database() string { return h.options.Database }

// HTTPClient is a client with credentials, for example h.Submitter.
func (h *Host) HTTPClient(credentials Credentials) (*http.Client, error) {
	pair, err := credentials.pair()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: h.pool, Certificates: []tls.Certificate{pair}},
	}
	return &http.Client{Transport: transport, Timeout: 2 * time.Minute}, nil
}

// Client is a generated client with credentials.
func (h *Host) Client(credentials Credentials) (*cmhostv1.ClientWithResponses, error) {
	client, err := h.HTTPClient(credentials)
	if err != nil {
		return nil, err
	}
	return cmhostv1.NewClientWithResponses(h.URL, cmhostv1.WithHTTPClient(client))
}

// Put submits a request with its signatures and returns the HTTP status and the problem of a refusal.
func Put(ctx context.Context, client *cmhostv1.ClientWithResponses, signed request.Request, signatures ...[]byte) (int, *cmhostv1.Problem, error) {
	canonical, err := signed.Bytes()
	if err != nil {
		return 0, nil, err
	}
	answer, err := client.PutTokenProcedureWithResponse(ctx, signed.Procedure.Name, cmhostv1.Submission{Request: canonical, Signatures: signatures})
	if err != nil {
		return 0, nil, err
	}
	for _, refused := range []*cmhostv1.Problem{
		answer.ApplicationproblemJSON400, answer.ApplicationproblemJSON403, answer.ApplicationproblemJSON409, answer.ApplicationproblemJSON413,
		answer.ApplicationproblemJSON422, answer.ApplicationproblemJSON429, answer.ApplicationproblemJSON503,
	} {
		if refused != nil {
			return answer.StatusCode(), refused, nil
		}
	}
	if answer.StatusCode() != http.StatusOK && answer.StatusCode() != http.StatusCreated {
		return answer.StatusCode(), nil, fmt.Errorf("unexpected answer %s: %s", answer.Status(), answer.Body)
	}
	return answer.StatusCode(), nil, nil
}
