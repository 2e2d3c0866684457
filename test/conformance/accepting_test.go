package conformance

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func checkAccepting(t *testing.T, s *session) {
	p := s.procedure("accepted")
	signed := request.New(s.host.Audience, 1, p)
	body := s.sign(t, signed, "officer-1", "officer-2")
	digest := request.DigestOf(body.Request)

	for step, want := range []int{http.StatusCreated, http.StatusOK, http.StatusOK} {
		got := s.put(t, p.Name, body)
		if got.status != want {
			t.Fatalf("put %d: %d %s; want %d", step+1, got.status, got.body, want)
		}
		var made struct {
			Digest     string
			Revision   int64
			Procedure  request.Procedure
			AcceptedAt string
			Signatures []struct {
				Officer   struct{ ID string }
				Signature []byte
			}
		}
		got.into(t, &made)
		same, err := request.New(s.host.Audience, made.Revision, made.Procedure).Digest()
		if err != nil || made.Digest != digest || same != digest || made.AcceptedAt == "" {
			t.Errorf("put %d: %s; want revision 1 with the digest %s", step+1, got.body, digest)
		}
		if len(made.Signatures) != 2 || !bytes.Equal(made.Signatures[0].Signature, body.Signatures[0]) || !bytes.Equal(made.Signatures[1].Signature, body.Signatures[1]) {
			t.Errorf("put %d: the evidence is not the signatures that were sent", step+1)
		}
	}
	otherSignatures := s.sign(t, signed, "officer-2", "officer-1")
	if got := s.put(t, p.Name, otherSignatures); got.status != http.StatusOK {
		t.Errorf("the current revision with the signatures made again: %d; want 200", got.status)
	}
	p.State = request.Closed
	p.CertificateProcedures = []string{s.name("nowhere")}
	s.accept(t, 3, p) // closing skips the rules that need the catalogue; revisions may leave gaps
	p.State = request.Active
	s.put(t, p.Name, s.sign(t, request.New(s.host.Audience, 4, p), "officer-1", "officer-2")).want(t, http.StatusUnprocessableEntity, "unknown-reference", "UnknownReference")
	p.CertificateProcedures = s.base.CertificateProcedures
	s.accept(t, 10_003, p) // Active again, as far above as it may be
}
