package signing_test

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"
	"unicode"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// FuzzSignedData feeds the parser: what it accepts is in the input, ends with it, and is in DER order.
func FuzzSignedData(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.signature)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		parsed, err := signing.ParseSignedData(der)
		if err != nil {
			return
		}
		if len(der) > signing.MaxBytes {
			t.Fatalf("accepted %d bytes", len(der))
		}
		if _, err := signing.ParseSignedData(append(bytes.Clone(der), 0)); err == nil {
			t.Fatal("accepted with a byte behind it")
		}
		if _, err := signing.ParseSignedData(der[:len(der)-1]); err == nil {
			t.Fatal("accepted without its last byte")
		}
		implicit := bytes.Clone(parsed.Attributes)
		implicit[0] = tagExplicit0
		for _, part := range append([][]byte{parsed.Content, implicit, parsed.Value}, parsed.Certificates...) {
			if !bytes.Contains(der, part) {
				t.Fatalf("%x is not in the input", part)
			}
		}
		if parsed.SigningTime.Location() != time.UTC || parsed.SigningTime.Nanosecond() != 0 {
			t.Fatalf("the signing time is %v", parsed.SigningTime)
		}
	})
}

// FuzzJudge feeds the whole path. Nothing verifies but the samples with other unsigned parts, and what is said of the
// rest is fit to be shown.
func FuzzJudge(f *testing.F) {
	list := samples(f)
	judged := sampleTerms(list)
	var evidence []signing.Evidence
	for _, s := range list {
		f.Add(s.signature)
		evidence = append(evidence, signing.Evidence{OfficerID: s.name, Signature: s.signature})
	}
	digest := request.DigestOf(list[0].content)
	wanted, err := request.Parse(list[0].content)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		verdict := signing.Judge(der, judged)
		if verdict.Verified() && forged(t, der, verdict, list) {
			t.Fatalf("forged: %+v", verdict)
		}
		again := signing.VerifyEvidence(der, judged.Register, judged.Now)
		if verdict.Verified() && !again.Verified() {
			t.Fatalf("good now, but no evidence: %s", again.Message)
		}
		if recorded, found := signing.Recorded(der, digest, evidence); found != verdict.Verified() || found && recorded.Officer.ID != verdict.Officer.ID {
			t.Fatalf("recorded: %v (%+v), verdict: %s (%s)", found, recorded, verdict.Reason, verdict.Message)
		}
		count := signing.Tally(wanted, []signing.Verdict{verdict}, []string{"it"})[0]
		checkMessage(t, verdict.Message)
		checkMessage(t, count.Message)
	})
}

// checkMessage fails if a message is empty, too long for a condition, or could fool a terminal.
func checkMessage(t *testing.T, message string) {
	t.Helper()
	if message == "" || len(message) > 2048 {
		t.Fatalf("a message of %d bytes", len(message))
	}
	for _, r := range message {
		if !unicode.IsPrint(r) {
			t.Fatalf("the message %q has the character %q", message, r)
		}
	}
}

// FuzzTamper changes the content, the signed attributes, the signature value or the certificate of a sample: none of it
// ever verifies.
func FuzzTamper(f *testing.F) {
	list := samples(f)
	judged := sampleTerms(list)
	for which := range list {
		for part := range 4 {
			f.Add(uint8(which), uint8(part), uint16(which*part), []byte{1})
		}
	}
	f.Fuzz(func(t *testing.T, which, part uint8, at uint16, change []byte) {
		s := list[int(which)%len(list)]
		region := [][]byte{s.content, s.implicit, s.value, s.certificate}[part%4]
		tampered := bytes.Clone(s.signature)
		inside := tampered[bytes.Index(s.signature, region):][:len(region)]
		for i := range change {
			inside[(int(at)+i)%len(inside)] ^= change[i]
		}
		if bytes.Equal(tampered, s.signature) {
			return
		}
		if verdict := signing.Judge(tampered, judged); verdict.Verified() {
			t.Fatalf("%s: part %d changed, and it verifies: %+v", s.name, part%4, verdict)
		}
	})
}

// FuzzCertificate holds what is read of certificates in signatures against crypto/x509.
func FuzzCertificate(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.certificate)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) > signing.MaxBytes {
			return
		}
		checkCertificateNames(t, der)
		if certificate, err := x509.ParseCertificate(der); err == nil {
			signing.NewRegister([]signing.Officer{{ID: "one", Certificates: [][]byte{certificate.Raw}}}, nil)
		}
	})
}
