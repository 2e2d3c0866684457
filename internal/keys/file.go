package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

func openFile(path string, r Reference) (*Key, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	signer, err := pemKey(path, content, r.Secret)
	if err != nil {
		return nil, err
	}
	if r.Certificate != "" {
		certificate, err := ReadCertificate(r.Certificate)
		return &Key{Signer: signer, Certificate: certificate}, err
	}
	certificate, err := firstCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("the file %s has the key alone: name the file of the officer's certificate with --cert", path)
	}
	return &Key{Signer: signer, Certificate: certificate}, nil
}

// pemKey finds the first private key in a PEM file.
func pemKey(path string, content []byte, secret func(string) ([]byte, error)) (crypto.Signer, error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		parse, isKey := pemKinds[block.Type]
		if !isKey {
			continue
		}
		if _, legacy := block.Headers["DEK-Info"]; legacy {
			return nil, fmt.Errorf("the key in %s is encrypted in an old way that protects it badly: convert it with `openssl pkcs8 -topk8 -in %s -out NEW`", path, path)
		}
		key, err := parse(path, block.Bytes, secret)
		if err != nil {
			return nil, err
		}
		return asSigner(path, key)
	}
	return nil, fmt.Errorf("%s has no private key in PEM: expected a block BEGIN PRIVATE KEY, ENCRYPTED PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY", path)
}

type parser func(path string, der []byte, secret func(string) ([]byte, error)) (any, error)

var pemKinds = map[string]parser{
	"PRIVATE KEY":           plain(x509.ParsePKCS8PrivateKey),
	"RSA PRIVATE KEY":       plain(func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) }),
	"EC PRIVATE KEY":        plain(func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) }),
	"ENCRYPTED PRIVATE KEY": encrypted,
}

func plain(parse func([]byte) (any, error)) parser {
	return func(path string, der []byte, _ func(string) ([]byte, error)) (any, error) {
		key, err := parse(der)
		if err != nil {
			return nil, fmt.Errorf("%s has no usable private key: %w", path, err)
		}
		return key, nil
	}
}

func encrypted(path string, der []byte, secret func(string) ([]byte, error)) (any, error) {
	passphrase, err := secret("the key file " + path)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	key, _, err := pkcs8.ParsePrivateKey(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("the key in %s cannot be decrypted: the passphrase is wrong, or the file is damaged", path)
	}
	return key, nil
}

func openPKCS12(path string, r Reference) (*Key, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	passphrase, err := r.Secret("the PKCS#12 file " + path)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	key, certificate, _, err := pkcs12.DecodeChain(content, string(passphrase))
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, fmt.Errorf("the passphrase of %s is wrong", path)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be opened: expected PKCS#12 with one key and its certificate: %w", path, err)
	}
	signer, err := asSigner(path, key)
	if err != nil {
		return nil, err
	}
	if r.Certificate != "" {
		if certificate, err = ReadCertificate(r.Certificate); err != nil {
			return nil, err
		}
	}
	return &Key{Signer: signer, Certificate: certificate}, nil
}

func asSigner(path string, key any) (crypto.Signer, error) {
	signer, signs := key.(crypto.Signer)
	if !signs {
		return nil, fmt.Errorf("the key in %s cannot sign: expected RSA, ECDSA or Ed25519, found %T", path, key)
	}
	return signer, nil
}
