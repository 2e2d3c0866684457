// Package keys opens the signing keys that administration officers have: PEM files, PKCS#12 files, and smart cards or
// HSMs through PKCS#11, each together with the officer's certificate.
//
// A passphrase or PIN reaches the package only through a function that asks for it, never through an argument or the
// environment, and appears in no error. The package knows nothing of token procedures.
package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxFileBytes bounds a key or certificate file.
const MaxFileBytes = 1 << 20

// Key is an officer's private key, ready to sign, and the certificate that belongs to it.
type Key struct {
	crypto.Signer
	Certificate *x509.Certificate

	release func() error
}

// Close lets go of the key, and of the session with a token.
func (k *Key) Close() error {
	if k.release == nil {
		return nil
	}
	return k.release()
}

// Reference says which key to open.
type Reference struct {
	// Key is file:PATH, pkcs12:PATH, or or an RFC 7512 URI, pkcs11:token=LABEL;object=LABEL?module-path=PATH.
	Key string
	// Certificate is the PEM or DER file of the officer's certificate. It is needed for file: unless the key's file has
	// the certificate too, and for pkcs11: where the token does not hold it.
	Certificate string
	// Secret asks for a passphrase or PIN; what names the thing that it opens.
	Secret func(what string) ([]byte, error)
}

// Schemes are the ways to say where a key is, for help texts and completion.
var Schemes = []string{"file:", "pkcs12:", "pkcs11:"}

// Open opens a key. The certificate is certain to be that of the key.
func Open(r Reference) (*Key, error) {
	scheme, rest, found := strings.Cut(r.Key, ":")
	if !found || rest == "" {
		return nil, fmt.Errorf("the key %q does not say what it is: expected file:PATH, pkcs12:PATH or pkcs11:URI", r.Key)
	}
	openers := map[string]func(string, Reference) (*Key, error){"file": openFile, "pkcs12": openPKCS12, "pkcs11": openPKCS11}
	open, known := openers[scheme]
	if !known {
		return nil, fmt.Errorf("the key %q is of an unknown kind: expected file:PATH, pkcs12:PATH or pkcs11:URI", r.Key)
	}
	key, err := open(rest, r)
	if err != nil {
		return nil, err
	}
	if err := key.check(); err != nil {
		return nil, errors.Join(err, key.Close())
	}
	return key, nil
}

// check refuses a certificate of another key: the host would only say that it does not know the signer.
func (k *Key) check() error {
	public, comparable := k.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !comparable || !public.Equal(k.Certificate.PublicKey) {
		return fmt.Errorf("the certificate of %q does not belong to the key: give the certificate that was issued for this key", k.Certificate.Subject)
	}
	return nil
}

// ReadCertificate reads the first certificate of a PEM or DER file.
func ReadCertificate(path string) (*x509.Certificate, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certificate, err := firstCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}

func firstCertificate(content []byte) (*x509.Certificate, error) {
	rest := content
	for block, next := pem.Decode(rest); block != nil; block, next = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
		rest = next
	}
	certificate, err := x509.ParseCertificate(content)
	if err != nil {
		return nil, errors.New("no certificate found, neither PEM nor DER")
	}
	return certificate, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if len(content) > MaxFileBytes {
		return nil, fmt.Errorf("%s has more than %d bytes: that is no key or certificate", path, MaxFileBytes)
	}
	return content, nil
}
