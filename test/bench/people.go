package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is a self-signed certificate with its key: an officer, or one end of a TLS connection.
type identity struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pair        tls.Certificate
	crt, pk     []byte // PEM
}

// people are everybody who takes part: two officers, a stranger whom no host knows, the host, and its submitter.
type people struct {
	one, two, stranger, host, submitter *identity
}

func newPeople() (*people, error) {
	p := &people{}
	var failures []error
	for name, into := range map[string]**identity{"one": &p.one, "two": &p.two, "stranger": &p.stranger, "localhost": &p.host, "submitter": &p.submitter} {
		made, err := newIdentity(name)
		failures = append(failures, err)
		*into = made
	}
	return p, errors.Join(failures...)
}

func newIdentity(name string) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Organization: []string{"Bench"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	i := &identity{key: key}
	i.crt = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	i.pk = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	if i.pair, err = tls.X509KeyPair(i.crt, i.pk); err != nil {
		return nil, err
	}
	i.certificate, err = x509.ParseCertificate(der)
	return i, err
}

// write puts the certificates and the host's key into a folder, where the host's program reads them.
func (p *people) write(folder string) error {
	register := []byte("officers:\n")
	files := map[string][]byte{"host.crt": p.host.crt, "host.key": p.host.pk, "client.crt": p.submitter.crt}
	for name, officer := range map[string]*identity{"one": p.one, "two": p.two} {
		files[name+".crt"] = officer.crt
		register = fmt.Appendf(register, "  - {id: officer-%s, state: Active, roles: [Use AWB, Policy tasks], certificates: [%s.crt]}\n", name, name)
	}
	files["officers.yaml"] = register
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
