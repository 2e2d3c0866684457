package signing_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// sample is a committed signature of testdata/request.json, made by testdata/make.sh, whose key exists no more: so
// whatever verifies under its certificate, other than its own signed parts, would be a forgery.
type sample struct {
	name, program   string
	signature       []byte
	certificate     []byte
	content, signed []byte // the content, and the encoded signed attributes
	value           []byte
	implicit        []byte // the signed attributes as they are in the signature
}

var samplePrograms = []struct{ name, program string }{
	{"rsa", "openssl cms"}, {"pss", "openssl cms"}, {"p256", "openssl cms"}, {"p521", "openssl cms"}, {"ed25519", "certtool"},
}

func samples(t testing.TB) []sample {
	t.Helper()
	var list []sample
	for _, s := range samplePrograms {
		signature := readSample(t, s.name+".der")
		parsed, err := signing.ParseSignedData(signature)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		implicit := bytes.Clone(parsed.Attributes)
		implicit[0] = tagExplicit0
		list = append(list, sample{s.name, s.program, signature, readSample(t, s.name+".crt"), parsed.Content, parsed.Attributes, parsed.Value, implicit})
	}
	return list
}

func readSample(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "signatures", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// sampleTerms are those by which all samples are good.
func sampleTerms(list []sample) signing.Terms {
	var officers []signing.Officer
	for _, s := range list {
		officers = append(officers, signing.Officer{
			ID: s.name, State: "Active", Roles: []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks}, Certificates: [][]byte{s.certificate},
		})
	}
	judged := terms(officers...)
	judged.Now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	return judged
}

// forged tells whether a verified signature is anything else than one of the samples: the same content, signed
// attributes and certificate. Unsigned parts may be anything.
func forged(t testing.TB, der []byte, verdict signing.Verdict, list []sample) bool {
	t.Helper()
	parsed, err := signing.ParseSignedData(der)
	if err != nil {
		t.Fatalf("verified, but cannot be parsed: %v", err)
	}
	for _, s := range list {
		if bytes.Equal(parsed.Content, s.content) && bytes.Equal(parsed.Attributes, s.signed) && bytes.Equal(verdict.CertificateDER, s.certificate) && verdict.Officer.ID == s.name {
			return false
		}
	}
	return true
}

func TestSamplesAreGood(t *testing.T) {
	list := samples(t)
	for _, s := range list {
		expect(t, "properties", s.program, "the committed sample "+s.name, signing.Judge(s.signature, sampleTerms(list)), acceptedReason)
	}
}

// TestFromText reads signatures as manifests have them.
func TestFromText(t *testing.T) {
	der := samples(t)[0].signature
	for len(der)%3 != 1 {
		der = append(der, 0)
	}
	text := base64.StdEncoding.EncodeToString(der) // ends in ==, and four bits before it are zero
	limit := base64.StdEncoding.EncodeToString(make([]byte, signing.MaxBytes))
	for _, c := range []struct{ name, text, mention string }{
		{"as base64 -w0 writes it", text, ""},
		{"of 32 KiB", limit, ""},
		{"empty", "", ""}, // no DER either
		{"with a line end behind it", text + "\n", "line end"},
		{"in lines of 64 characters", text[:64] + "\n" + text[64:], "line end"},
		{"in lines of DOS", text[:64] + "\r\n" + text[64:], "line end"},
		{"with a blank", text[:64] + " " + text[64:], "not base64"},
		{"without its end", text[:len(text)-1], "not base64"},
		{"with other bits behind the last byte", text[:len(text)-3] + string(text[len(text)-3]+1) + "==", "not base64"},
		{"in the alphabet for URLs", strings.Replace(text, "/", "_", 1), "not base64"},
		{"with something behind it", text + "AAAA", "not base64"},
		{"of 32 KiB and more", limit + "AAAA", "43696 characters; at most 43692"},
	} {
		read, err := signing.FromText(c.text)
		outcome, message := "(read)", ""
		if err != nil {
			outcome, message = malformedReason, err.Error()
		}
		record("text", "crafted by the test", "base64 "+c.name, outcome, message)
		if c.mention == "" && (err != nil || base64.StdEncoding.EncodeToString(read) != c.text) || c.mention != "" && (err == nil || !strings.Contains(err.Error(), c.mention)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.mention)
		}
	}
}

// TestTruncatedNeverVerifies cuts each sample at every byte, and adds a byte behind it.
func TestTruncatedNeverVerifies(t *testing.T) {
	list := samples(t)
	judged := sampleTerms(list)
	for _, s := range list {
		for length := range s.signature {
			if verdict := signing.Judge(s.signature[:length], judged); verdict.Reason != malformedReason {
				t.Fatalf("%s, the first %d bytes: %s", s.name, length, verdict.Reason)
			}
		}
		record("properties", s.program, s.name+" cut at every byte", malformedReason, "")
		for _, behind := range []byte{0, 0x30, 0xff} {
			verdict := signing.Judge(append(bytes.Clone(s.signature), behind), judged)
			expect(t, "properties", s.program, s.name+" with a byte behind it", verdict, malformedReason, "too many")
		}
		verdict := signing.Judge(append(bytes.Clone(s.signature), s.signature...), judged)
		expect(t, "properties", s.program, s.name+" twice in a row", verdict, malformedReason, "too many")
	}
}

// TestChangedBytesNeverVerify changes every byte of each sample: what still verifies differs in unsigned parts alone, and
// nothing verifies whose content, signed attributes, signature value or certificate changed.
func TestChangedBytesNeverVerify(t *testing.T) {
	list := samples(t)
	judged := sampleTerms(list)
	for _, s := range list {
		harmless := 0
		for at := range s.signature {
			changed := bytes.Clone(s.signature)
			changed[at] ^= 1 << (at % 8)
			verdict := signing.Judge(changed, judged)
			if !verdict.Verified() {
				continue
			}
			harmless++
			if forged(t, changed, verdict, list) {
				t.Fatalf("%s: byte %d changed, and it verifies as another approval", s.name, at)
			}
			for _, part := range [][]byte{s.content, s.implicit, s.value, s.certificate} {
				if start := bytes.Index(s.signature, part); start <= at && at < start+len(part) {
					t.Fatalf("%s: byte %d, of what is signed, changed, and it verifies", s.name, at)
				}
			}
		}
		record("properties", s.program, s.name+" with each byte changed", "(never forged)", "changes of unsigned bytes that did no harm: "+strconv.Itoa(harmless))
	}
}

// TestPartsOfOthersNeverVerify puts each part of each sample in the place of the same part of another.
func TestPartsOfOthersNeverVerify(t *testing.T) {
	list := samples(t)
	judged := sampleTerms(list)
	for _, s := range list {
		for _, other := range list {
			if s.name == other.name {
				continue
			}
			for _, parts := range [][2][]byte{{s.implicit, other.implicit}, {s.value, other.value}, {s.certificate, other.certificate}} {
				swapped := bytes.Replace(s.signature, parts[0], parts[1], 1)
				if verdict := signing.Judge(swapped, judged); verdict.Verified() && forged(t, swapped, verdict, list) {
					t.Errorf("%s with a part of %s verifies", s.name, other.name)
				}
			}
		}
	}
}

// TestCertificateNamesAgreeWithX509 holds what is read of certificates against crypto/x509.
func TestCertificateNamesAgreeWithX509(t *testing.T) {
	for _, s := range samples(t) {
		checkCertificateNames(t, s.certificate)
	}
}

func checkCertificateNames(t testing.TB, der []byte) {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return
	}
	issuer, serial, keyID, publicKeyInfo, err := signing.ReadCertificateNames(der)
	if err != nil {
		t.Fatalf("crypto/x509 reads a certificate that is refused here: %v", err)
	}
	if !bytes.Equal(issuer, certificate.RawIssuer) || !bytes.Equal(keyID, certificate.SubjectKeyId) || !bytes.Equal(publicKeyInfo, certificate.RawSubjectPublicKeyInfo) {
		t.Fatalf("issuer %x, key identifier %x, key %x differ from those of crypto/x509", issuer, keyID, publicKeyInfo)
	}
	if number := certificate.SerialNumber.Bytes(); !bytes.Equal(bytes.TrimLeft(serial, "\x00"), number) {
		t.Fatalf("serial number %x differs from %x", serial, number)
	}
}
