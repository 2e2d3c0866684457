// Package request is the request that officers sign: its fields, its bytes and its digest.
//
// The schema is frozen under the name Type and stands apart from the custom resource: later API versions convert to it,
// a new field is absent by default, and a rename needs a new type string. The package knows neither Kubernetes clients nor HTTP.
package request

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// Type is the type string inside every request.
	Type = "tokenprocedures.dev/request/v1"
	// MaxRevision is the highest revision, 2^53-1: the largest integer that every JSON program keeps exactly.
	MaxRevision = 1<<53 - 1
	// MaxBytes bounds the bytes of a request. A signature holds the request and is at most as long.
	MaxBytes = 32 << 10
	// MaxParts bounds the objects, lists, members and entries of a request together, and with them the work of reading
	// it. The rules of token procedures allow far fewer.
	MaxParts = 512
)

// States of a procedure.
const (
	Active = "Active"
	Closed = "Closed"
)

// Request is what officers sign: one revision of one procedure for one CM host.
type Request struct {
	Type      string    `json:"type"`
	Audience  string    `json:"audience"`
	Revision  int64     `json:"revision"`
	Procedure Procedure `json:"procedure"`
}

// Procedure is a token procedure in the frozen schema. What is empty is left out.
type Procedure struct {
	Name                           string              `json:"name,omitempty"`
	State                          string              `json:"state,omitempty"`
	Domain                         string              `json:"domain,omitempty"`
	VisibleInSubdomain             bool                `json:"visibleInSubdomain,omitempty"`
	StorageProfile                 string              `json:"storageProfile,omitempty"`
	CardSerialNumber               *CardSerialNumber   `json:"cardSerialNumber,omitempty"`
	PINProcedure                   string              `json:"pinProcedure,omitempty"`
	KeyProcedures                  []string            `json:"keyProcedures,omitempty"`
	IssuerCertificates             *IssuerCertificates `json:"issuerCertificates,omitempty"`
	AttributeCertificateProcedures []string            `json:"attributeCertificateProcedures,omitempty"`
	CertificateProcedures          []string            `json:"certificateProcedures,omitempty"`
	InputView                      string              `json:"inputView,omitempty"`
}

// CardSerialNumber says whether cards carry a serial number, and from which range.
type CardSerialNumber struct {
	Enabled *bool              `json:"enabled,omitempty"`
	Range   *SerialNumberRange `json:"range,omitempty"`
}

// SerialNumberRange is a range of card serial numbers in decimal, both ends included.
type SerialNumberRange struct {
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// IssuerCertificates says what of the CA chain goes onto the token.
type IssuerCertificates struct {
	Policy                string `json:"policy,omitempty"`
	RecoveredCertificates string `json:"recoveredCertificates,omitempty"`
}

// New is the request for a revision of a procedure, in normal form.
func New(audience string, revision int64, procedure Procedure) Request {
	return Request{Type: Type, Audience: audience, Revision: revision, Procedure: procedure.Normalize()}
}

// Normalize leaves out what counts as absent, innermost first: empty strings, lists and objects, and false
// (but for cardSerialNumber.enabled). The result shares no memory with the original.
func (p Procedure) Normalize() Procedure {
	if c := p.CardSerialNumber; c != nil {
		copied := CardSerialNumber{Enabled: clone(c.Enabled), Range: clone(c.Range)}
		if copied.Range != nil && *copied.Range == (SerialNumberRange{}) {
			copied.Range = nil
		}
		p.CardSerialNumber = &copied
		if copied == (CardSerialNumber{}) {
			p.CardSerialNumber = nil
		}
	}
	p.IssuerCertificates = clone(p.IssuerCertificates)
	if i := p.IssuerCertificates; i != nil && *i == (IssuerCertificates{}) {
		p.IssuerCertificates = nil
	}
	for _, list := range []*[]string{&p.KeyProcedures, &p.AttributeCertificateProcedures, &p.CertificateProcedures} {
		*list = slices.Clone(*list)
		if len(*list) == 0 {
			*list = nil
		}
	}
	return p
}

func clone[T any](value *T) *T {
	if value == nil {
		return nil
	}
	return new(*value)
}

// Bytes is the one serialisation of the request: RFC 8785 of its normal form, UTF-8, without a newline.
func (r Request) Bytes() ([]byte, error) {
	r.Procedure = r.Procedure.Normalize()
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("serialise request: %w", err)
	}
	canonical := jsontext.Value(plain.Bytes())
	if err := canonical.Canonicalize(); err != nil {
		return nil, fmt.Errorf("serialise request: %w", err)
	}
	return canonical, nil
}

// Digest is the digest of the request's bytes, as in DigestOf.
func (r Request) Digest() (string, error) {
	canonical, err := r.Bytes()
	if err != nil {
		return "", err
	}
	return DigestOf(canonical), nil
}

// DigestOf is the SHA-256 digest of a request's bytes, as `sha256:` and 64 hexadecimal digits.
func DigestOf(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Parse reads a request from the bytes that somebody signed. They count only if they are exactly what Bytes makes of
// the result: this refuses unknown and doubled members, other key order, white space, and member names that Go's decoder
// would fold to a known one, so that nobody sees other content than is stored. Whether the procedure keeps the rules,
// those of names included, is not decided here. What an error repeats of the input is short and printable.
func Parse(signed []byte) (Request, error) {
	if len(signed) > MaxBytes {
		return Request{}, fmt.Errorf("the request has %d bytes; at most %d are allowed", len(signed), MaxBytes)
	}
	if parts := countParts(signed); parts > MaxParts {
		return Request{}, fmt.Errorf("the request has %d objects, lists, members and entries; at most %d are allowed", parts, MaxParts)
	}
	var parsed Request
	decoder := json.NewDecoder(bytes.NewReader(signed))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&parsed); err != nil {
		return Request{}, undecodable(signed, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Request{}, errors.New("not a request: there is something behind the JSON object; expected one object, without a newline")
	}
	if err := parsed.check(); err != nil {
		return Request{}, err
	}
	canonical, err := parsed.Bytes()
	if err != nil {
		return Request{}, err
	}
	if !bytes.Equal(canonical, signed) {
		return Request{}, errors.New("the request is not in its canonical form (RFC 8785 without empty members, no white space, no newline): sign exactly what `kubectl tokenproc request` prints")
	}
	return parsed, nil
}

// countParts counts the objects, lists, members and entries of a JSON text, which is cheap, before it is read, which
// may not be.
func countParts(text []byte) int {
	parts, inString, escaped := 0, false, false
	for _, b := range text {
		switch {
		case escaped:
			escaped = false
		case inString:
			inString, escaped = b != '"', b == '\\'
		case b == '"':
			inString = true
		case b == '{' || b == '[' || b == ',':
			parts++
		}
	}
	return parts
}

// check holds a request against what its canonical form cannot be without.
func (r Request) check() error {
	switch {
	case r.Type != Type:
		return fmt.Errorf("the request is of type %q; expected %q", Shown(r.Type), Type)
	case r.Audience == "":
		return errors.New("the request has no audience; expected the name of the CM host that it is for")
	case r.Revision < 1 || r.Revision > MaxRevision:
		return fmt.Errorf("the request's revision is %d; expected 1 to %d", r.Revision, int64(MaxRevision))
	case r.Procedure.Name == "":
		return errors.New("the request's procedure has no name; expected one")
	}
	return nil
}

// undecodable says why bytes are no request. A request of another type is called that, whatever its members are.
func undecodable(signed []byte, cause error) error {
	var typed struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(signed, &typed) == nil && typed.Type != "" && typed.Type != Type {
		return Request{Type: typed.Type}.check()
	}
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(cause, &wrong) && wrong.Field != "" {
		return fmt.Errorf("not a request: %s is a JSON %s; expected what fits %s", Shown(wrong.Field), Shown(wrong.Value), wrong.Type)
	}
	return fmt.Errorf("not a request: %s", Shown(strings.TrimPrefix(cause.Error(), "json: ")))
}
