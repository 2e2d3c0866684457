package signing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// BenchmarkVerify measures the verification of a signature with an indexed register, without the check of the request,
// beside the bare public-key operation with the same key in the same run. ratio is bare time by whole time: 1 would mean
// that reading the signature, its digests and finding its officer cost nothing. Both alternate, and medians are compared,
// so that a busy machine does little harm.
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
			var whole, alone []time.Duration
			for b.Loop() {
				start := time.Now()
				if reason := signing.VerifyCMS(signature, register); reason != "" {
					b.Fatal(reason)
				}
				middle := time.Now()
				if !bare() {
					b.Fatal("the bare verification failed")
				}
				whole, alone = append(whole, middle.Sub(start)), append(alone, time.Since(middle))
			}
			b.ReportMetric(1/median(whole).Seconds(), "verifications/s")
			b.ReportMetric(median(alone).Seconds()/median(whole).Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}
