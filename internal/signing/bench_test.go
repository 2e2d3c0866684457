package signing_test

import (
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// BenchmarkVerify measures the verification of a signature with an indexed register, without the check of the request,
// beside the bare public-key operation with the same key in the same run. ratio is bare time by whole time: 1 would mean
// that reading the signature and finding its officer cost nothing. Both alternate, so that a busy machine slows both.
func BenchmarkVerify(b *testing.B) {
	for _, kind := range []signingtest.KeyKind{signingtest.RSA, signingtest.ECDSA, signingtest.P384, signingtest.Ed25519} {
		b.Run(string(kind), func(b *testing.B) {
			officers := []signingtest.Officer{signingtest.New(b, "signer", func(o *signingtest.Options) { o.Kind = kind })}
			for range 20 {
				officers = append(officers, signingtest.New(b, "other"))
			}
			register := signing.NewRegister(signingtest.Officers(officers...), nil)
			signature := officers[0].Sign(b, request.New("cm.example.com", 1, signingtest.Procedure("Employee card")), now)
			bare := signing.BareVerify(signature, officers[0].Certificate.PublicKey)
			var whole, alone time.Duration
			for b.Loop() {
				start := time.Now()
				if reason := signing.VerifyCMS(signature, register); reason != "" {
					b.Fatal(reason)
				}
				middle := time.Now()
				if !bare() {
					b.Fatal("the bare verification failed")
				}
				whole, alone = whole+middle.Sub(start), alone+time.Since(middle)
			}
			b.ReportMetric(float64(b.N)/whole.Seconds(), "verifications/s")
			b.ReportMetric(alone.Seconds()/whole.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
