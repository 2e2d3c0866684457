// Package signingtest makes administration officers for tests: keys, certificates, registers and signatures, quickly.
// Keys of one kind and number are made once for each test program. Only tests may import it.
package signingtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// KeyKind is a kind of key.
type KeyKind string

// Kinds of keys. RSA keys take a moment to make, once for each number.
const (
	ECDSA   KeyKind = "ECDSA P-256"
	P384    KeyKind = "ECDSA P-384"
	P521    KeyKind = "ECDSA P-521"
	RSA     KeyKind = "RSA 2048"
	RSA1024 KeyKind = "RSA 1024"
	Ed25519 KeyKind = "Ed25519"
)

// Validities of certificates, so far from now in both directions that no clock matters.
var (
	Valid       = Validity{date(2020), date(2049)}
	Expired     = Validity{date(2020), date(2021)}
	NotYetValid = Validity{date(2048), date(2049)}
)

// Validity is the validity of a certificate.
type Validity struct{ NotBefore, NotAfter time.Time }

func date(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

// Officer is an officer with one certificate and its key.
type Officer struct {
	signing.Officer
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Options are what New makes an officer of.
type Options struct {
	Kind     KeyKind
	Validity Validity
	KeyUsage x509.KeyUsage
	// Key, if set, is used instead of a new one of the kind.
	Key crypto.Signer
	// WithoutKeyID leaves out the subject key identifier.
	WithoutKeyID bool
	// Subject is the common name in the certificate.
	Subject string
}

// New makes an officer in good standing, without a domain, with an ECDSA key of their own. Change fields of the embedded
// signing.Officer (State, Roles, Domain) before making a register.
func New(t testing.TB, id string, changes ...func(*Options)) Officer {
	t.Helper()
	options := Options{Kind: ECDSA, Validity: Valid, KeyUsage: x509.KeyUsageDigitalSignature, Subject: id}
	for _, change := range changes {
		change(&options)
	}
	if options.Key == nil {
		options.Key = newKey(t, options.Kind)
	}
	certificate := newCertificate(t, options)
	return Officer{
		Officer: signing.Officer{
			ID:           id,
			Subject:      certificate.Subject.String(),
			State:        request.Active,
			Roles:        []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks},
			Certificates: [][]byte{certificate.Raw},
		},
		Certificate: certificate,
		Key:         options.Key,
	}
}

// Renewed is the same officer with another certificate, by default with another key. The register must list both, for
// example by passing both to Officers.
func (o Officer) Renewed(t testing.TB, changes ...func(*Options)) Officer {
	t.Helper()
	subject := func(options *Options) { options.Subject = o.Certificate.Subject.CommonName }
	renewed := New(t, o.ID, append([]func(*Options){subject}, changes...)...)
	renewed.State, renewed.Roles, renewed.Domain = o.State, o.Roles, o.Domain
	return renewed
}

// Officers is the register's list of some officers; certificates of the same id are put together.
func Officers(officers ...Officer) []signing.Officer {
	var list []signing.Officer
	index := make(map[string]int)
	for _, officer := range officers {
		at, found := index[officer.ID]
		if !found {
			index[officer.ID] = len(list)
			list = append(list, officer.Officer)
			continue
		}
		list[at].Certificates = append(slices.Clip(list[at].Certificates), officer.Certificates...)
	}
	return list
}

// Sign is the officer's signature, DER, of a request.
func (o Officer) Sign(t testing.TB, signed request.Request, at time.Time) []byte {
	t.Helper()
	canonical, err := signed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signing.Sign(canonical, o.Certificate, o.Key, at)
	if err != nil {
		t.Fatalf("sign as %s: %v", o.ID, err)
	}
	return signature
}

// WriteFiles writes the certificate and the key as PEM, for other programs, and returns their paths.
func (o Officer) WriteFiles(t testing.TB, directory, name string) (certificate, key string) {
	t.Helper()
	encoded, err := x509.MarshalPKCS8PrivateKey(o.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(directory, name+".crt"), filepath.Join(directory, name+".key")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: o.Certificate.Raw},
		key:         {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// Procedure is a procedure that keeps every rule and refers to objects of the sample catalogue.
func Procedure(name string) request.Procedure {
	enabled := true
	return request.Procedure{
		Name:                  name,
		State:                 request.Active,
		StorageProfile:        "SmartCard",
		CardSerialNumber:      &request.CardSerialNumber{Enabled: &enabled, Range: &request.SerialNumberRange{From: "100000", To: "199999"}},
		PINProcedure:          "PIN letter",
		IssuerCertificates:    &request.IssuerCertificates{Policy: "StoreAll", RecoveredCertificates: "Store"},
		CertificateProcedures: []string{"Authentication", "Signature"},
	}
}

var (
	rsaLock  sync.Mutex
	rsaKeys  = map[KeyKind][]*rsa.PrivateKey{}
	rsaTaken = map[testing.TB]map[KeyKind]int{}
)

// newKey makes a key that no other officer of this test has. RSA keys are made once and given to other tests again.
func newKey(t testing.TB, kind KeyKind) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case ECDSA:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case RSA:
		key, err = nextRSAKey(t, kind, 2048)
	case RSA1024:
		key, err = nextRSAKey(t, kind, 1024)
	default:
		err = fmt.Errorf("unknown kind of key %q", kind)
	}
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return key
}

// nextRSAKey gives each test the keys in the same order.
func nextRSAKey(t testing.TB, kind KeyKind, bits int) (*rsa.PrivateKey, error) {
	rsaLock.Lock()
	defer rsaLock.Unlock()
	if rsaTaken[t] == nil {
		rsaTaken[t] = map[KeyKind]int{}
		t.Cleanup(func() {
			rsaLock.Lock()
			defer rsaLock.Unlock()
			delete(rsaTaken, t)
		})
	}
	next := rsaTaken[t][kind]
	rsaTaken[t][kind]++
	if next == len(rsaKeys[kind]) {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		rsaKeys[kind] = append(rsaKeys[kind], key)
	}
	return rsaKeys[kind][next], nil
}

func newCertificate(t testing.TB, options Options) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"Test"}, CommonName: options.Subject},
		NotBefore:    options.Validity.NotBefore,
		NotAfter:     options.Validity.NotAfter,
		KeyUsage:     options.KeyUsage,
		SubjectKeyId: serial.Bytes(),
	}
	if options.WithoutKeyID {
		template.SubjectKeyId = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, options.Key.Public(), options.Key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("read a new certificate: %v", err)
	}
	return certificate
}
