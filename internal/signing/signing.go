// Package signing judges the CMS signatures of administration officers: whether one was made by an officer who may sign
// this request, and whether two of different officers cover it.
//
// Everything here is a pure function of bytes, the CM host's register and a point in time. Operator, host and plugin use
// the same functions. The package knows neither Kubernetes clients nor HTTP.
package signing

import (
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Officer is one entry of the CM host's register. The JSON form is that of GET /v1/officers.
type Officer struct {
	ID           string   `json:"id"`
	Subject      string   `json:"subject"`
	State        string   `json:"state"` // Active or Closed
	Roles        []string `json:"roles"`
	Domain       string   `json:"domain,omitempty"` // empty means Root
	Certificates [][]byte `json:"certificates"`     // DER; base64 in JSON
}

// Register is the CM host's register of officers, indexed by certificate and public key. It is immutable.
type Register struct{}

// NewRegister indexes a register. domains is the catalogue's tree, which says which officer may sign for which domain.
func NewRegister(officers []Officer, tree domains.Tree) *Register { panic("being written") }

// Terms are what a signature is judged by.
type Terms struct {
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
}

// Verdict is the judgement of one signature. Whatever could be read is filled in, also where it is refused.
type Verdict struct {
	// Reason is v1alpha1.ReasonOfficerSignature for a good signature, else the reason of the refusal.
	Reason string
	// Message says what was expected, what was found and what to do.
	Message string
	// Officer who made it; nil while unknown.
	Officer *Officer
	// SignedAt is the signing time inside the signature; zero while unknown.
	SignedAt time.Time
	// Request is the request inside the signature; nil where it could not be read.
	Request *request.Request
	// Digest of the request inside the signature.
	Digest string
	// CertificateDER is the signer's certificate; nil where it could not be read.
	CertificateDER []byte
	// PublicKey is the DER of the signer's SubjectPublicKeyInfo: two signatures count only if their keys differ.
	PublicKey []byte
	// ReviewAt is the earliest time at which the verdict changes by itself; zero if it never does.
	ReviewAt time.Time
}

// Verified tells whether an officer who may sign made the signature.
func (v Verdict) Verified() bool { panic("being written") }

// Judge judges one signature, DER. It never fails: what cannot be read is Malformed.
func Judge(der []byte, terms Terms) Verdict { panic("being written") }

// Count is what one signature of several contributes to a request.
type Count struct {
	// Reason is v1alpha1.ReasonCounted, or why it does not count.
	Reason  string
	Message string
	// Earlier is the index of the signature by the same officer that counts instead, for SameOfficer; else -1.
	Earlier int
}

// Tally says which of several verdicts, in their order of precedence, count for a wanted request. names are how messages
// call the signatures. A request has its two officers when at least Quorum of the counts are Counted.
func Tally(wanted request.Request, verdicts []Verdict, names []string) []Count {
	panic("being written")
}

// Quorum is the number of different officers who must sign.
const Quorum = 2
