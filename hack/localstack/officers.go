package main

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"
)

// people are the officers of config/samples/host/officers.yaml, which names the files made here, and a stranger. Their
// keys are RSA or ECDSA, with which openssl makes CMS signatures.
var people = []struct {
	file, name string
	key        func() (crypto.Signer, error)
	expired    bool
}{
	{file: "officer-1", name: "Officer One", key: rsaKey(3072)},
	{file: "officer-1b", name: "Officer One", key: ecKey(elliptic.P256())},
	{file: "officer-2", name: "Officer Two", key: ecKey(elliptic.P256())},
	{file: "officer-3", name: "Officer Three", key: ecKey(elliptic.P384())},
	{file: "officer-4", name: "Officer Four", key: rsaKey(2048)},
	{file: "officer-5", name: "Officer Five", key: ecKey(elliptic.P256()), expired: true},
	{file: "officer-6", name: "Officer Six", key: ecKey(elliptic.P256())},
	{file: "stranger", name: "Stranger", key: ecKey(elliptic.P256())},
}

func writeOfficers(f folder) error {
	ca, err := newAuthority("local officers")
	if err != nil {
		return err
	}
	for _, person := range people {
		template := x509.Certificate{
			Subject:  pkix.Name{CommonName: person.name, Organization: []string{"Example"}},
			KeyUsage: x509.KeyUsageContentCommitment,
		}
		if person.expired {
			template.NotBefore, template.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(0, 0, -1)
		}
		pair, err := ca.issue(template, person.key)
		if err != nil {
			return err
		}
		if err := pair.write(f, "officers", person.file); err != nil {
			return fmt.Errorf("writing the certificate of %s: %w", person.name, err)
		}
	}
	return nil
}
