package signing_test

import (
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestOwnSignatures(t *testing.T) {
	wanted := request.New("cm.example.com", 1, signingtest.Procedure("Employee card"))
	for _, kind := range []signingtest.KeyKind{signingtest.RSA, signingtest.ECDSA, signingtest.P384, signingtest.P521, signingtest.Ed25519} {
		officer := signingtest.New(t, "officer", func(o *signingtest.Options) { o.Kind = kind })
		verdict := signing.Judge(officer.Sign(t, wanted, now), signing.Terms{
			Register: signing.NewRegister(signingtest.Officers(officer), nil),
			Audience: "cm.example.com", ProcedureName: "Employee card", MaxSignatureAge: 720 * time.Hour, Now: now,
		})
		if verdict.Reason != v1alpha1.ReasonOfficerSignature || !verdict.Verified() || !verdict.SignedAt.Equal(now) || verdict.Officer.ID != "officer" || !verdict.ReviewAt.Equal(now.Add(720*time.Hour+1)) {
			t.Errorf("%s: %+v", kind, verdict)
		}
	}
}
