package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLSConfig asks for TLS 1.3 and a client certificate at the handshake. The server's own certificate is read again when
// its file changes.
func TLSConfig(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	own := &certificateFile{certFile: certFile, keyFile: keyFile}
	if _, err := own.get(nil); err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(clientCAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return nil, errors.New(clientCAFile + ": expected certificates in PEM")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		GetCertificate: own.get, NextProtos: []string{"h2", "http/1.1"},
	}, nil
}

// certificateFile is a certificate with its key, as the files have them now.
type certificateFile struct {
	certFile, keyFile string

	mutex   sync.Mutex
	read    time.Time
	current *tls.Certificate
}

func (c *certificateFile) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	state, err := os.Stat(c.certFile)
	if err == nil && c.current != nil && state.ModTime().Equal(c.read) {
		return c.current, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.current, c.read = &pair, state.ModTime()
		}
	}
	if c.current == nil {
		return nil, fmt.Errorf("read the server's certificate: %w", err)
	}
	return c.current, nil // a rotation under way: certificate and key do not fit together yet
}
