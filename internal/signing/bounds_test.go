package signing_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// Bounds of one judgement, whatever the input. Memory is all that is allocated while judging, not only what is held at once.
const (
	memoryBound = 1 << 20
	timeBound   = 500 * time.Millisecond // a busy machine takes its share; usual is below 10 ms
)

// TestBounds judges the largest inputs that may come, made to be as expensive as can be.
func TestBounds(t *testing.T) {
	officer := signingtest.New(t, "officer")
	p521 := signingtest.New(t, "p521", func(o *signingtest.Options) { o.Kind = signingtest.P521 })
	rsa8192 := signing.Officer{ID: "rsa8192", State: "Active", Roles: officer.Roles, Certificates: [][]byte{readSample(t, "rsa8192.crt")}}
	judged := terms(officer.Officer, p521.Officer, rsa8192)
	judged.Now = now.AddDate(0, 0, 1) // the sample's certificate is of this day
	content := func(text string) []byte {
		return craft(t, officer, func(c *crafted) {
			c.content = []byte(text)
			digest := sha256.Sum256(c.content)
			changeAttribute(idMessageDigest, attribute(idMessageDigest, der(tagOctets, digest[:])))(c)
		}, nil)
	}
	big := func(p func(*request.Procedure)) []byte {
		r := employeeCard()
		p(&r.Procedure)
		return canonical(t, r)
	}
	listOf := func(entry string, count int) []string {
		list := make([]string, count)
		for i := range list {
			list[i] = entry
		}
		return list
	}
	const room = signing.MaxBytes - 2048 // for a request inside a signature
	many := func(element []byte, room int) []byte { return bytes.Repeat(element, room/len(element)) }
	distinct := func(count int) [][]byte {
		attributes := make([][]byte, count)
		for i := range attributes {
			attributes[i] = der(tagSequence, der(tagOID, []byte{0x2a, 1 + byte(i>>7)&0x7f, byte(i) & 0x7f}), der(tagSet))
		}
		return attributes
	}
	for _, c := range []struct {
		name      string
		signature []byte
	}{
		{"a good signature", officer.Sign(t, employeeCard(), now)},
		{"a good signature with P-521", p521.Sign(t, employeeCard(), now)},
		{"a signature by a key of 8192 bits", readSample(t, "rsa8192.der")},
		{"zeros", make([]byte, signing.MaxBytes)},
		{"ten times too long", make([]byte, 10*signing.MaxBytes)},
		{"sequences in sequences", nested(0x30)},
		{"as many certificates as fit", craft(t, officer, nil, func(c *crafted) { c.certificates = append(c.certificates, many(der(tagSequence), room)) })},
		{"as many elements of the size of a small certificate as fit", craft(t, officer, nil, func(c *crafted) {
			c.certificates = append(c.certificates, many(der(tagSequence, make([]byte, 126)), room))
		})},
		{"as many certificates of the officer as fit", craft(t, officer, nil, func(c *crafted) { c.certificates = [][]byte{many(officer.Certificate.Raw, room)} })},
		{"as many certificates of somebody else as fit", craft(t, signingtest.New(t, "stranger"), nil, func(c *crafted) { c.certificates = [][]byte{many(c.officer.Certificate.Raw, room)} })},
		{"a certificate as large as fits", craft(t, officer, nil, largeCertificate(officer, room))},
		{"as many certificates with the signer's name as fit", craft(t, officer, nil, func(c *crafted) { c.certificates = lookalikes(officer.Certificate.Raw, room) })},
		{"as many signers as fit", craft(t, officer, nil, func(c *crafted) {
			c.signers = func(signer []byte) [][]byte { return [][]byte{many(signer, room)} }
		})},
		{"as many digest algorithms as fit", craft(t, officer, nil, func(c *crafted) { c.digests = many(der(tagSequence, idSHA256), room) })},
		{"as many revocation lists as fit", craft(t, officer, nil, func(c *crafted) { c.revocations = der(tagExplicit1, many(der(tagSequence), room)) })},
		{"as many unsigned attributes as fit", craft(t, officer, nil, func(c *crafted) { c.unsigned = der(tagExplicit1, many(attribute(idOther), room)) })},
		{"as many signed attributes as fit", craft(t, officer, addAttributes(distinct(room/9)...), nil)},
		{"a request with a name as long as fits", content(string(big(func(p *request.Procedure) { p.Name = strings.Repeat("n", room-600) })))},
		{"a request with as many entries as fit", content(string(big(func(p *request.Procedure) { p.KeyProcedures = listOf("k", room/4-200) })))},
		{"a request with as many empty entries as fit", content(string(big(func(p *request.Procedure) { p.KeyProcedures = listOf("", room/3-300) })))},
		{"as many numbers as fit in place of texts", content(`{"procedure":{"keyProcedures":[` + strings.Repeat("1,", room/2-30) + `1]}}`)},
		{"as many nulls as fit in place of texts", content(`{"procedure":{"keyProcedures":[` + strings.Repeat("null,", room/5-30) + `null]}}`)},
		{"a request with as many parts as are allowed", content(string(big(func(p *request.Procedure) { p.KeyProcedures = listOf(strings.Repeat("k", 50), 480) })))},
		{"a request of characters that JSON escapes", content(string(big(func(p *request.Procedure) { p.Name = strings.Repeat("<", room-600) })))},
		{"a request of control characters", content(string(big(func(p *request.Procedure) { p.Name = strings.Repeat("\x01", (room-600)/6) })))},
		{"a request of invisible characters", content(string(big(func(p *request.Procedure) { p.Name = strings.Repeat("\u2028", (room-600)/3) })))},
		{"lists in lists instead of a request", content(strings.Repeat("[", room))},
		{"objects in objects instead of a request", content(strings.Repeat(`{"procedure":`, room/13))},
		{"unknown fields as many as fit", content(`{` + strings.Repeat(`"x":1,`, room/6))},
		{"the same field as often as fits", content(`{` + strings.Repeat(`"procedure":{"keyProcedures":["a"]},`, room/38) + `"type":"` + request.Type + `","audience":"a","revision":1}`)},
		{"a number of very many digits", content(`{"revision":` + strings.Repeat("9", room-20) + `}`)},
		{"a long list in place of a text", content(`{"procedure":{"name":[` + strings.Repeat(`1,`, room/2-20) + `1]}}`)},
	} {
		if len(c.signature) > 10*signing.MaxBytes || c.name != "ten times too long" && len(c.signature) > signing.MaxBytes {
			t.Fatalf("%s: the input has %d bytes", c.name, len(c.signature))
		}
		verdict, memory, took := measured(func() signing.Verdict { return signing.Judge(c.signature, judged) })
		operations := signing.CountPublicKeyOperations(func() { signing.Judge(c.signature, judged) })
		record("bounds", "crafted by the test", c.name, verdict.Reason, strings.Join([]string{bytesOf(len(c.signature)) + " in", bytesOf(int(memory)) + " allocated",
			took.Round(time.Microsecond).String(), strconv.Itoa(operations) + " public-key operations"}, ", "))
		authentic := verdict.Officer != nil
		if operations > 1 || authentic && operations != 1 {
			t.Errorf("%s: judging does %d public-key operations", c.name, operations)
		}
		if memory > memoryBound {
			t.Errorf("%s: judging allocates %d bytes; at most %d are allowed", c.name, memory, memoryBound)
		}
		if took > timeBound {
			t.Errorf("%s: judging takes %v; at most %v is allowed", c.name, took, timeBound)
		}
	}
}

// lookalikes are as many certificates as fit, all different, with the issuer, serial number and key of one, which is last:
// their own signatures, which nobody looks at, differ.
func lookalikes(certificate []byte, room int) [][]byte {
	list := make([][]byte, room/len(certificate))
	for i := range list {
		list[i] = bytes.Clone(certificate)
		list[i][len(certificate)-1] ^= byte(len(list) - 1 - i)
	}
	return list
}

// TestRecordedBounds compares signatures with evidence that holds the same look-alikes of the signer's certificate.
func TestRecordedBounds(t *testing.T) {
	officer := signingtest.New(t, "officer")
	digest := request.DigestOf(canonical(t, employeeCard()))
	recorded := craft(t, officer, nil, func(c *crafted) { c.certificates = lookalikes(officer.Certificate.Raw, signing.MaxBytes-2048) })
	repeated := craftAgain(t, officer, recorded, func(c *crafted) {
		c.certificates = slices.Repeat([][]byte{officer.Certificate.Raw}, (signing.MaxBytes-2048)/len(officer.Certificate.Raw))
	})
	spoilt := bytes.Clone(recorded)
	spoilt[len(spoilt)-1] ^= 1
	spoiltRepeated := bytes.Clone(repeated)
	spoiltRepeated[len(spoiltRepeated)-1] ^= 1
	for _, c := range []struct {
		name                string
		signature, evidence []byte
		found               bool
		most                int
	}{
		{"look-alikes on both sides", recorded, recorded, true, 1},
		{"look-alikes on both sides, and a wrong value", spoilt, recorded, false, 4},
		{"the same certificate again and again", repeated, repeated, true, 1},
		{"the same certificate again and again, and a wrong value", spoiltRepeated, repeated, false, 1},
	} {
		var found bool
		operations := signing.CountPublicKeyOperations(func() {
			_, found = signing.Recorded(c.signature, digest, []signing.Evidence{{OfficerID: "officer", Signature: c.evidence}})
		})
		outcome := map[bool]string{true: v1alpha1.ReasonRecordedByHost, false: "not recorded"}[found]
		record("bounds", "crafted by the test", "recorded: "+c.name, outcome, strconv.Itoa(operations)+" public-key operations")
		if found != c.found || operations > c.most || operations == 0 {
			t.Errorf("%s: recorded %v with %d public-key operations; want %v with 1 to %d", c.name, found, operations, c.found, c.most)
		}
	}
}

// bytesOf writes a size for people.
func bytesOf(n int) string {
	if n < 10<<10 {
		return strconv.Itoa(n) + " B"
	}
	return strconv.Itoa(n>>10) + " KiB"
}

// measured judges until the smallest of a few measurements is known: other goroutines of the test program allocate too.
func measured(judge func() signing.Verdict) (verdict signing.Verdict, memory uint64, took time.Duration) {
	var before, after runtime.MemStats
	for range 5 {
		runtime.ReadMemStats(&before)
		start := time.Now()
		verdict = judge()
		elapsed := time.Since(start)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; memory == 0 || used < memory {
			memory = used
		}
		if took == 0 || elapsed < took {
			took = elapsed
		}
	}
	return verdict, memory, took
}

// nested is an element in an element in an element, as deep as fits.
func nested(tag byte) []byte {
	var element []byte
	for len(element) < signing.MaxBytes-8 {
		header := []byte{tag, 0x82, 0, 0}
		binary.BigEndian.PutUint16(header[2:], uint16(len(element)))
		if len(element) < 0x80 {
			header = []byte{tag, byte(len(element))}
		} else if len(element) < 0x100 {
			header = []byte{tag, 0x81, byte(len(element))}
		}
		element = append(header, element...)
	}
	return element
}

// largeCertificate replaces the officer's certificate by one with the same issuer, serial number and key, and a subject
// of as many parts as fit.
func largeCertificate(officer signingtest.Officer, room int) func(*crafted) {
	return func(c *crafted) {
		part := der(tagSet, der(tagSequence, oid(2, 5, 4, 3), der(0x0c, []byte("x"))))
		serial := der(tagInteger, officer.Certificate.SerialNumber.Bytes())
		body := der(tagSequence, der(tagExplicit0, der(tagInteger, []byte{2})), serial, der(tagSequence, idECDSASHA256),
			officer.Certificate.RawIssuer, der(tagSequence, utcTime("200101000000Z"), utcTime("490101000000Z")),
			der(tagSequence, bytes.Repeat(part, (room-600)/len(part))), officer.Certificate.RawSubjectPublicKeyInfo)
		c.certificates = [][]byte{der(tagSequence, body, der(tagSequence, idECDSASHA256), der(0x03, []byte{0}))}
		c.signerID = der(tagSequence, officer.Certificate.RawIssuer, serial)
	}
}
