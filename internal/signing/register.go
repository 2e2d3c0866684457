// The register of officers, indexed by certificate.

package signing

import (
	"crypto"
	"crypto/x509"
	"maps"
	"slices"
	"strings"

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
type Register struct {
	tree          domains.Tree
	byCertificate map[string]*listing
}

// listing is one certificate that the register lists. certificate is nil if weakness or problem says why it cannot be used.
type listing struct {
	officer     *Officer
	certificate *x509.Certificate
	// publicKey is as EncodeKey encodes it; empty if the key is not allowed.
	publicKey []byte
	// weakness says why the key is not allowed; empty if it is.
	weakness string
	// problem says why the certificate counts for nobody; empty if it counts.
	problem string
}

// NewRegister indexes a register. tree is the catalogue's tree, which says which officer may sign for which domain.
// A public key that is listed for more than one officer, in one certificate or in several, counts for none of them.
func NewRegister(officers []Officer, tree domains.Tree) *Register {
	register := &Register{tree: maps.Clone(tree), byCertificate: make(map[string]*listing)}
	owners := make(map[string][]*Officer) // by public key, each officer once
	for _, officer := range officers {
		officer.Roles = slices.Clone(officer.Roles)
		for _, der := range officer.Certificates {
			listed, found := register.byCertificate[string(der)]
			if !found {
				listed = newListing(&officer, der)
				register.byCertificate[string(der)] = listed
			}
			key := string(listed.publicKey)
			if key != "" && !slices.Contains(owners[key], &officer) {
				owners[key] = append(owners[key], &officer)
			}
		}
	}
	for _, listed := range register.byCertificate {
		if sharing := owners[string(listed.publicKey)]; listed.problem == "" && len(sharing) > 1 {
			listed.problem = "the register lists its key for " + officerNames(sharing) + ", so it counts for none of them: list it for one officer"
		}
	}
	return register
}

func newListing(officer *Officer, der []byte) *listing {
	listed := &listing{officer: officer}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		key, problem := unreadKey(der)
		if listed.weakness = problem; problem == "" {
			listed.publicKey = EncodeKey(key)
			listed.problem = "the register lists it, but it cannot be read: " + request.Shown(err.Error())
		}
		return listed
	}
	if listed.weakness = keyProblem(certificate.PublicKey); listed.weakness == "" {
		listed.certificate, listed.publicKey = certificate, EncodeKey(certificate.PublicKey)
	}
	return listed
}

// EncodeKey encodes a key anew, so that equal keys are equal bytes whatever certificates hold. crypto/x509 can encode every
// allowed key; for one that it cannot there is none, and two signatures without a key count once.
func EncodeKey(key crypto.PublicKey) []byte {
	encoded, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil
	}
	return encoded
}

func officerNames(officers []*Officer) string {
	names := make([]string, len(officers))
	for i, officer := range officers {
		names[i] = request.Shown(officer.ID)
	}
	return "the officers " + strings.Join(names, ", ")
}

// choose picks the listing of the signer's certificate among those that the signer's identifier names: nil if none is
// listed. Several can be when a certificate was renewed with the same key and the signer is identified by that key:
// then the one that is valid longest.
func (r *Register) choose(certificates [][]byte) (*listing, []byte) {
	var chosen *listing
	var der []byte
	for _, certificate := range certificates {
		listed := r.byCertificate[string(certificate)]
		if listed != nil && (chosen == nil || listed.validLonger(chosen)) {
			chosen, der = listed, certificate
		}
	}
	return chosen, der
}

func (l *listing) validLonger(other *listing) bool {
	return l.certificate != nil && (other.certificate == nil || l.certificate.NotAfter.After(other.certificate.NotAfter))
}
