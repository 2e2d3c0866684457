package controllers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
)

// issued is a certificate with its key, and issues others.
type issued struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate for 127.0.0.1, valid until a time, by an issuer; by itself without one.
func issue(issuer *issued, until time.Time) *issued {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "faults " + serial.String()},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: issuer == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	Expect(err).NotTo(HaveOccurred())
	certificate, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	return &issued{certificate, key}
}

func (i *issued) pem() hosttest.Credentials {
	GinkgoHelper()
	key, err := x509.MarshalPKCS8PrivateKey(i.key)
	Expect(err).NotTo(HaveOccurred())
	return hosttest.Credentials{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}
}

func (i *issued) pair() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.certificate.Raw}, PrivateKey: i.key}
}

var _ = Describe("certificates on the way to a host", func() {
	It("are refused when they expired or come from elsewhere, on either side, and taken when they are rotated", func(ctx SpecContext) {
		tomorrow, yesterday := time.Now().Add(12*time.Hour), time.Now().Add(-time.Hour)
		ca := issue(nil, tomorrow)
		clients := x509.NewCertPool()
		clients.AddCert(ca.certificate)
		var served atomic.Pointer[tls.Certificate]
		expired := issue(ca, yesterday).pair()
		served.Store(&expired)
		w := newWorld(ctx)
		road := newProxy(w, func(*http.Request) fault { return faultNone }, func(config *tls.Config) {
			config.ClientCAs = clients
			config.Certificates = nil
			config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return served.Load(), nil }
		})
		host := w.cmHost()
		host.Spec.URL = road.URL
		secret := w.secret(issue(ca, yesterday).pem())
		create(ctx, secret, host, w.procedure("card", 1))
		w.start()

		By("the host's CA is another one than the Secret's")
		Expect(describe(w.eventuallyHost(ctx, "TLSRefused").Status.Conditions)).To(ContainSubstring("ca.crt of the Secret"))
		w.eventually(ctx, "card", hostDown)

		By("the host's certificate has expired")
		secret.Data["ca.crt"] = ca.pem().Certificate
		Expect(k8s.Update(ctx, secret)).To(Succeed())
		Eventually(func() string { return describe(w.eventuallyHost(ctx, "TLSRefused").Status.Conditions) }).WithTimeout(2 * waiting).Should(ContainSubstring("expired"))

		By("the host's is renewed, and ours has expired")
		valid := issue(ca, tomorrow).pair()
		served.Store(&valid)
		Eventually(func() string { return describe(w.eventuallyHost(ctx, "TLSRefused").Status.Conditions) }).WithTimeout(2 * waiting).
			Should(ContainSubstring("refused the TLS handshake"))

		By("ours is rotated")
		renewed := issue(ca, tomorrow).pem()
		secret.Data["tls.crt"], secret.Data["tls.key"] = renewed.Certificate, renewed.Key
		Expect(k8s.Update(ctx, secret)).To(Succeed())
		w.eventuallyHost(ctx, "Connected")
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"})
	}, SpecTimeout(3*time.Minute))
})
