// Package signing judges the CMS signatures of administration officers: whether one was made by an officer who may sign
// this request, and whether two of different officers cover it. It also makes such signatures.
//
// Everything that judges is a pure function of bytes, the CM host's register and a point in time; operator, host and
// plugin use the same functions. Read it in this order:
//
//	signing.go      the terms and the verdict
//	judge.go        the checks, in their order
//	cms.go, der.go  the strict parser
//	algorithms.go   the allow-lists, and the one public-key operation
//	certificate.go  which certificate in a signature is the signer's
//	register.go     the officers and their certificates
//	tally.go        which signatures count for a request
//	evidence.go     what still holds after the host has accepted a request
//	sign.go         making a signature
//
// Nothing in a signature is believed before it is checked: first its shape, then the algorithms, then whether the host
// lists the signer's certificate, and only then its signature.
//
// The package may import request, domains, the reason constants of v1alpha1 and cryptography. It must know neither
// Kubernetes clients nor HTTP, and reads no clock.
package signing

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Quorum is the number of different officers who must sign.
const Quorum = 2

// MaxClockSkew is how far in the future a signing time may lie.
const MaxClockSkew = 5 * time.Minute

// Terms are what a signature is judged by.
type Terms struct {
	// Register of the CM host; nil while it is not available, and then nothing is good.
	Register *Register
	// Audience of the CM host that the request must be for.
	Audience string
	// ProcedureName is the name that the signed procedure must have.
	ProcedureName string
	// ReplacedDomain is the domain of the stored revision that the request would replace; nil where there is none.
	ReplacedDomain *string
	// MaxSignatureAge is the host's maxSignatureAge.
	MaxSignatureAge time.Duration
	// Now is the judging time.
	Now time.Time
	// Content is the request that several signatures are expected to be for, read once; nil where that is not known. What
	// another signature is for is read from it.
	Content *Content
}

// Content is a request with the bytes that it was read from.
type Content struct {
	signed []byte
	parsed request.Request
}

// ReadContent reads a request as request.Parse does.
func ReadContent(signed []byte) (*Content, error) {
	parsed, err := request.Parse(signed)
	if err != nil {
		return nil, err
	}
	return &Content{signed: signed, parsed: parsed}, nil
}

// Request is the request that was read.
func (c *Content) Request() request.Request { return c.parsed }

// read is the request that signed content holds.
func (c *Content) read(signed []byte) (request.Request, error) {
	if c != nil && bytes.Equal(c.signed, signed) {
		return c.parsed, nil
	}
	return request.Parse(signed)
}

// Verdict is the judgement of one signature. Whatever could be read is filled in, also where it is refused; only a
// verified signature proves any of it.
type Verdict struct {
	// Reason is v1alpha1.ReasonOfficerSignature or ReasonRecordedByHost for a good signature, else why it is refused.
	Reason string
	// Message says what was expected, what was found and what to do. It does not depend on the judging time.
	Message string
	// Officer whose key made the signature; nil while that is not known.
	Officer *Officer
	// SignedAt is the signing time inside the signature; zero while unknown.
	SignedAt time.Time
	// Request is the request inside the signature; nil where it could not be read.
	Request *request.Request
	// Digest of the request inside the signature; empty where it could not be read.
	Digest string
	// CertificateDER is the signer's certificate; nil where it could not be found.
	CertificateDER []byte
	// PublicKey is the DER of the signer's public key, if the register lists it: two signatures count only if their
	// keys differ.
	PublicKey []byte
	// ReviewAt is the earliest time at which the verdict changes by itself; zero if it never does.
	ReviewAt time.Time
}

// Verified tells whether an officer who may sign made the signature, or the host has recorded that one did.
func (v Verdict) Verified() bool {
	return v.Reason == v1alpha1.ReasonOfficerSignature || v.Reason == v1alpha1.ReasonRecordedByHost
}

// FromText reads a signature, DER, as a ProcedureSignature holds it: base64 on one line. It is as strict as the API
// server, and refuses bits behind the last byte too, so that no signature can be written in two ways.
func FromText(text string) ([]byte, error) {
	if limit := base64.StdEncoding.EncodedLen(MaxBytes); len(text) > limit {
		return nil, fmt.Errorf("spec.signature has %d characters; at most %d are allowed", len(text), limit)
	}
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("spec.signature has a line end; expected base64 on one line, as `base64 -w0` writes it")
	}
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("spec.signature is not base64: %w; expected the DER output as `base64 -w0` writes it", err)
	}
	return der, nil
}
