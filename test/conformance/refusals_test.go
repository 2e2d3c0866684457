package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// refusal is a submission that must be refused. The procedure has the revision 5 at the host.
type refusal struct {
	name string
	// needs are the officers without whom the case cannot be checked.
	needs []string
	// change changes a good request before it is signed; spoil changes the submission afterwards.
	change func(*request.Request)
	spoil  func(*cmhostv1.Submission)
	// officers sign, officer-1 and officer-2 if nil; at is when, now if zero.
	officers []string
	at       time.Duration
	status   int
	kind     string
	reason   string
}

// tampered changes the last byte of a signature: its value.
func tampered(i int) func(*cmhostv1.Submission) {
	return func(b *cmhostv1.Submission) { b.Signatures[i][len(b.Signatures[i])-1] ^= 1 }
}

func replaced(old, with string) func(*cmhostv1.Submission) {
	return func(b *cmhostv1.Submission) { b.Request = bytes.Replace(b.Request, []byte(old), []byte(with), 1) }
}

func (s *session) refusals() []refusal {
	return []refusal{
		{name: "no signature", spoil: func(b *cmhostv1.Submission) { b.Signatures = [][]byte{} }, status: 400, kind: "malformed"},
		{name: "one signature", officers: []string{"officer-1"}, status: 400, kind: "malformed"},
		{name: "three signatures", officers: []string{"officer-1", "officer-2", "officer-1"}, status: 400, kind: "malformed"},
		{name: "the request is not JSON", spoil: func(b *cmhostv1.Submission) { b.Request = []byte("request") }, status: 400, kind: "malformed"},
		{name: "the request ends in a newline", spoil: func(b *cmhostv1.Submission) { b.Request = append(b.Request, '\n') }, status: 400, kind: "malformed"},
		{name: "a key that some decoders fold", spoil: replaced(`"state"`, `"ſtate"`), status: 400, kind: "malformed"},
		{name: "a doubled key", spoil: replaced(`"revision":6`, `"revision":6,"revision":6`), status: 400, kind: "malformed"},
		{name: "another request type", spoil: replaced("request/v1", "request/v2"), status: 400, kind: "malformed"},
		{name: "revision 0", spoil: replaced(`"revision":6`, `"revision":0`), status: 400, kind: "malformed"},
		{name: "a name other than the path's", change: func(r *request.Request) { r.Procedure.Name = s.name("other") }, status: 400, kind: "malformed"},
		{name: "a request other than what was signed", spoil: replaced(`"revision":6`, `"revision":7`), status: 400, kind: "malformed"},
		{name: "a signature that is none", spoil: func(b *cmhostv1.Submission) { b.Signatures[1] = []byte("signature") }, status: 400, kind: "malformed"},
		{name: "another host", change: func(r *request.Request) { r.Audience += ".example" }, status: 400, kind: "audience-mismatch"},
		{name: "a lower revision", change: func(r *request.Request) { r.Revision = 4 }, status: 409, kind: "stale-revision"},
		{name: "the same revision with other content", change: func(r *request.Request) { r.Revision, r.Procedure.State = 5, request.Closed }, status: 409, kind: "revision-conflict"},
		{name: "a revision too far above", change: func(r *request.Request) { r.Revision = 10_006 }, status: 422, kind: "rule-broken"},
		{name: "a forged signature value", spoil: tampered(0), status: 403, kind: "signature", reason: "BadSignature"},
		{name: "a signature with something behind it", spoil: func(b *cmhostv1.Submission) { b.Signatures[1] = append(b.Signatures[1], 0) }, status: 403, kind: "signature", reason: "Malformed"},
		{name: "a signer whom the host does not know", needs: []string{"stranger"}, officers: []string{"officer-1", "stranger"}, status: 403, kind: "signature", reason: "UnknownSigner"},
		{name: "an expired certificate", needs: []string{"officer-5"}, officers: []string{"officer-5", "officer-2"}, status: 403, kind: "signature", reason: "CertificateExpired"},
		{name: "an abandoned approval", at: -s.maxAge - time.Minute, status: 403, kind: "signature", reason: "SignatureExpired"},
		{name: "a signing time in the future", at: 10 * time.Minute, status: 403, kind: "signature", reason: "SigningTimeInFuture"},
		{name: "an officer without a role", needs: []string{"officer-3"}, officers: []string{"officer-1", "officer-3"}, status: 403, kind: "officer", reason: "MissingRole"},
		{name: "an officer who has left", needs: []string{"officer-4"}, officers: []string{"officer-4", "officer-1"}, status: 403, kind: "officer", reason: "OfficerClosed"},
		{name: "an officer of a domain below", needs: []string{"officer-6"}, officers: []string{"officer-1", "officer-6"}, status: 403, kind: "officer", reason: "OutsideDomain"},
		{name: "one officer twice", officers: []string{"officer-1", "officer-1"}, status: 403, kind: "same-officer", reason: "SameOfficer"},
		{name: "one officer with two certificates", needs: []string{"officer-1b"}, officers: []string{"officer-1", "officer-1b"}, status: 403, kind: "same-officer", reason: "SameOfficer"},
		{name: "a field that the profile must not have", change: func(r *request.Request) { r.Procedure.PINProcedure = "PIN letter" }, status: 422, kind: "rule-broken"},
		{name: "no certificate procedure", change: func(r *request.Request) { r.Procedure.CertificateProcedures = nil }, status: 422, kind: "rule-broken"},
		{name: "a reference to nothing", change: func(r *request.Request) { r.Procedure.CertificateProcedures = []string{s.name("nowhere")} }, status: 422, kind: "unknown-reference", reason: "UnknownReference"},
		{name: "a domain that is none", change: func(r *request.Request) { r.Procedure.Domain = s.name("domain") }, status: 422, kind: "unknown-reference", reason: "UnknownReference"},
	}
}

func checkRefusals(t *testing.T, s *session) {
	p := s.procedure("refused")
	before := s.accept(t, 5, p)
	length := s.length(t)
	for _, c := range s.refusals() {
		t.Run(c.name, func(t *testing.T) {
			for _, needed := range c.needs {
				if s.officers[needed].Key == nil {
					t.Logf("not checked: %s is not among the officers", needed)
					return
				}
			}
			s.refuse(t, p, c)
		})
	}
	for name, body := range map[string]string{
		"no body": "", "no JSON": "{", "a list": "[]", "an empty object": "{}", "null": "null", "a string": `"request"`,
		"members of other types": `{"request":1,"signatures":2}`, "null members": `{"request":null,"signatures":null}`,
		"something behind the object": `{"request":"","signatures":["",""]} {}`, "no base64": `{"request":"*","signatures":["*","*"]}`,
		"an unknown member": `{"request":"e30=","signatures":["e30=","e30="],"force":true}`,
	} {
		t.Run("a body that is "+name, func(t *testing.T) {
			s.call(t, "submitter", http.MethodPut, pathOf(p.Name), []byte(body), nil).want(t, http.StatusBadRequest, "malformed", "")
		})
	}
	t.Run("base64 with bits behind its last byte", func(t *testing.T) {
		s.call(t, "submitter", http.MethodPut, pathOf(p.Name), s.bitsBehind(t, p), nil).want(t, http.StatusBadRequest, "malformed", "")
	})
	var after cmhostv1.TokenProcedure
	s.get(t, pathOf(p.Name)).into(t, &after)
	if after.Digest != before.Digest || s.length(t) != length {
		t.Errorf("refusals left something behind: digest %s -> %s, log %d -> %d", before.Digest, after.Digest, length, s.length(t))
	}
}

// bitsBehind is a good submission but for bits behind the last byte of its request, which many decoders pass over.
func (s *session) bitsBehind(t *testing.T, p request.Procedure) []byte {
	t.Helper()
	body := s.sign(t, request.New(s.host.Audience, 6, p), "officer-1", "officer-2")
	if len(body.Request)%3 == 0 { // no bits are left over: one more byte
		body = s.sign(t, request.New(s.host.Audience, 10, p), "officer-1", "officer-2")
	}
	plain, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	good := bytes.TrimRight([]byte(base64.StdEncoding.EncodeToString(body.Request)), "=")
	last := len(good) - 1
	return bytes.Replace(plain, good, append(good[:last:last], good[last]+1), 1)
}

// refuse makes the submission of a case and checks the answer.
func (s *session) refuse(t *testing.T, p request.Procedure, c refusal) {
	t.Helper()
	signed := request.New(s.host.Audience, 6, p)
	if c.change != nil {
		c.change(&signed)
	}
	officers := c.officers
	if officers == nil {
		officers = []string{"officer-1", "officer-2"}
	}
	body := s.signAt(t, signed, time.Now().Add(c.at), officers...)
	if c.spoil != nil {
		c.spoil(&body)
	}
	s.put(t, p.Name, body).want(t, c.status, c.kind, c.reason)
}

// checkOrder submits what is wrong in two ways: the check that comes first answers.
func checkOrder(t *testing.T, s *session) {
	p := s.procedure("order")
	s.accept(t, 5, p)
	stale := func(r *request.Request) { r.Revision = 4 }
	tooLarge := []byte(`{"request":"` + strings.Repeat("A", 300<<10) + `"}`)
	s.call(t, "submitter", http.MethodPut, pathOf(p.Name), tooLarge, nil).want(t, http.StatusRequestEntityTooLarge, "too-large", "")
	s.call(t, "reader", http.MethodPut, pathOf(p.Name), tooLarge, nil).want(t, http.StatusForbidden, "client-not-permitted", "")
	for _, c := range []refusal{
		{name: "malformed before audience-mismatch", officers: []string{"officer-1"}, change: func(r *request.Request) { r.Audience = "other" }, status: 400, kind: "malformed"},
		{name: "audience-mismatch before stale-revision", change: func(r *request.Request) { r.Audience = "other"; stale(r) }, status: 400, kind: "audience-mismatch"},
		{name: "stale-revision before signature", change: stale, spoil: tampered(0), status: 409, kind: "stale-revision"},
		{name: "signature before officer", needs: []string{"officer-3"}, officers: []string{"officer-3", "officer-1"}, spoil: tampered(1), status: 403, kind: "signature"},
		{name: "signature before same-officer", officers: []string{"officer-1", "officer-1"}, spoil: tampered(1), status: 403, kind: "signature"},
		{name: "officer before same-officer", needs: []string{"officer-3"}, officers: []string{"officer-3", "officer-3"}, status: 403, kind: "officer"},
		{name: "same-officer before rule-broken", officers: []string{"officer-1", "officer-1"}, change: func(r *request.Request) { r.Procedure.CertificateProcedures = nil }, status: 403, kind: "same-officer"},
		{name: "rule-broken before unknown-reference", change: func(r *request.Request) {
			r.Procedure.CertificateProcedures, r.Procedure.PINProcedure = []string{"Nowhere"}, "Nowhere"
		}, status: 422, kind: "rule-broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.needs) > 0 && s.officers[c.needs[0]].Key == nil {
				t.Logf("not checked: %s is not among the officers", c.needs[0])
				return
			}
			s.refuse(t, p, c)
		})
	}
	again := s.sign(t, request.New(s.host.Audience, 5, p), "officer-1", "officer-1")
	plain, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.call(t, "submitter", http.MethodPut, pathOf(p.Name), plain, nil); got.status != http.StatusOK {
		t.Errorf("the current revision again is answered before signatures are judged: got %d, want 200", got.status)
	}
}
