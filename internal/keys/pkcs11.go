//go:build pkcs11

package keys

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/ThalesGroup/crypto11"
)

// HasPKCS11 tells whether this build can use smart cards and HSMs.
const HasPKCS11 = true

func openPKCS11(text string, r Reference) (*Key, error) {
	uri, err := parseTokenURI(text)
	if err != nil {
		return nil, err
	}
	flags, err := lookAtToken(uri)
	if err != nil {
		return nil, err
	}
	pin, err := tokenPIN(uri, flags, r)
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	context, err := crypto11.Configure(tokenConfig(uri, string(pin)))
	if err != nil {
		return nil, openProblem(uri, err)
	}
	key, err := findOnToken(context, uri, r.Certificate)
	if err != nil {
		return nil, errors.Join(err, context.Close())
	}
	key.release = context.Close
	return key, nil
}

// tokenConfig prefers the serial number: crypto11 takes a token that either of the two fits.
func tokenConfig(uri tokenURI, pin string) *crypto11.Config {
	config := &crypto11.Config{Path: uri.module, TokenLabel: uri.token, TokenSerial: uri.serial, Pin: pin}
	if uri.serial != "" {
		config.TokenLabel = ""
	}
	return config
}

// tokenPIN asks for the PIN only where it can help, and says before how near the token is to locking itself.
func tokenPIN(uri tokenURI, flags pinFlags, r Reference) ([]byte, error) {
	if flags.locked() {
		return nil, fmt.Errorf("the token %s cannot be used: %s", uri.tokenName(), flags.warning())
	}
	pin, err := givenPIN(uri, flags, r)
	if err == nil && len(pin) == 0 && !flags.ownKeypad() {
		return nil, fmt.Errorf("no PIN was given for the token %s", uri.tokenName())
	}
	return pin, err
}

func givenPIN(uri tokenURI, flags pinFlags, r Reference) ([]byte, error) {
	if uri.pinSource == "" {
		what := "the token " + uri.tokenName()
		if warning := flags.warning(); warning != "" {
			what += " (" + warning + ")"
		}
		return r.Secret(what)
	}
	content, err := readFile(strings.TrimPrefix(uri.pinSource, "file:"))
	if err != nil {
		return nil, fmt.Errorf("pin-source: %w", err)
	}
	return []byte(strings.TrimRight(string(content), "\r\n")), nil
}

func findOnToken(context *crypto11.Context, uri tokenURI, certificateFile string) (*Key, error) {
	id, label := optional(uri.id), optional(uri.object)
	signer, err := findSigner(context, id, label)
	if err != nil {
		return nil, err
	}
	if certificateFile != "" {
		certificate, err := ReadCertificate(certificateFile)
		return &Key{Signer: signer, Certificate: certificate}, err
	}
	certificate, err := findCertificate(context, id, label, signer.Public())
	return &Key{Signer: signer, Certificate: certificate}, err
}

func findSigner(context *crypto11.Context, id, label []byte) (crypto.Signer, error) {
	var found []crypto11.Signer
	var err error
	if id == nil && label == nil {
		found, err = context.FindAllKeyPairs()
	} else {
		found, err = context.FindKeyPairs(id, label)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the token's keys cannot be read: %w", err)
	case len(found) == 0:
		return nil, errors.New("the token has no such key pair: check object= and id= of the URI (pkcs11-tool --list-objects --login shows them)")
	case len(found) > 1:
		return nil, fmt.Errorf("the token has %d key pairs that fit: say which with object= or id= in the URI", len(found))
	}
	return found[0], nil
}

// findCertificate takes the certificate with the key's id or label, or, where they differ, the one with its public key.
func findCertificate(context *crypto11.Context, id, label []byte, public crypto.PublicKey) (*x509.Certificate, error) {
	if id != nil || label != nil {
		certificate, err := context.FindCertificate(id, label, nil)
		if err != nil {
			return nil, fmt.Errorf("the token's certificates cannot be read: %w", err)
		}
		if certificate != nil {
			return certificate, nil
		}
	}
	paired, err := context.FindAllPairedCertificates()
	if err != nil {
		return nil, fmt.Errorf("the token's certificates cannot be read: %w", err)
	}
	for _, pair := range paired {
		if own, comparable := public.(interface{ Equal(crypto.PublicKey) bool }); comparable && own.Equal(pair.Leaf.PublicKey) {
			return pair.Leaf, nil
		}
	}
	return nil, errors.New("the token has the key but not its certificate: name the certificate's file with --cert")
}

func optional(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}
