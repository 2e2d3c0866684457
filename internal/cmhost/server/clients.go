package server

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
)

// role is what a client may do.
type role string

const (
	submitter role = "submitter" // reads and puts
	reader    role = "reader"    // reads
)

// Clients maps the identities of client certificates to roles. An identity is `sha256:` and the hexadecimal fingerprint
// of the certificate's DER, or a subject alternative name: `dns:`, `uri:` or `email:` and its value.
type Clients map[string]role

var fingerprintForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// NewClients reads the identities of submitters and readers.
func NewClients(submitters, readers []string) (Clients, error) {
	clients := Clients{}
	for _, group := range []struct {
		role       role
		identities []string
	}{{reader, readers}, {submitter, submitters}} {
		for _, identity := range group.identities {
			if strings.HasPrefix(identity, "sha256:") {
				identity = strings.ToLower(strings.ReplaceAll(identity, " ", ""))
			}
			if !wellFormed(identity) {
				return nil, fmt.Errorf("client %q: expected sha256: and 64 hexadecimal digits, or dns:, uri: or email: and a subject alternative name", identity)
			}
			clients[identity] = group.role
		}
	}
	return clients, nil
}

func wellFormed(identity string) bool {
	kind, value, found := strings.Cut(identity, ":")
	switch kind {
	case "sha256":
		return fingerprintForm.MatchString(identity)
	case "dns", "uri", "email":
		return found && value != ""
	}
	return false
}

// Fingerprint is the identity of a certificate that is always there.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// roleOf is the highest role that one of the certificate's identities has; empty if none has any.
func (c Clients) roleOf(certificate *x509.Certificate) role {
	identities := []string{Fingerprint(certificate)}
	for _, name := range certificate.DNSNames {
		identities = append(identities, "dns:"+name)
	}
	for _, uri := range certificate.URIs {
		identities = append(identities, "uri:"+uri.String())
	}
	for _, address := range certificate.EmailAddresses {
		identities = append(identities, "email:"+address)
	}
	found := role("")
	for _, identity := range identities {
		switch c[identity] {
		case submitter:
			return submitter
		case reader:
			found = reader
		}
	}
	return found
}

// permitted lets submitters do everything and readers read.
func (s *Server) permitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			s.refuse(w, r, problem.New(cmhostv1.ProblemClientNotPermitted, "the connection has no client certificate"))
			return
		}
		certificate := r.TLS.PeerCertificates[0]
		client, fingerprint := s.config.Clients.roleOf(certificate), Fingerprint(certificate)
		noted(r.Context()).client, noted(r.Context()).role = fingerprint, client
		switch {
		case client == "":
			s.refuse(w, r, problem.New(cmhostv1.ProblemClientNotPermitted, "the client certificate %s is not mapped to a role: have the host's administrator list it as a submitter or reader", fingerprint))
		case client != submitter && r.Method != http.MethodGet && r.Method != http.MethodHead:
			s.refuse(w, r, problem.New(cmhostv1.ProblemClientNotPermitted, "the client certificate %s is a reader's; a submitter's is needed to put token procedures", fingerprint))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// note is what is found out about a call on its way, for the access log and the metrics.
type note struct {
	client   string
	role     role
	name     string
	revision int64
	digest   string
	officers []string
	outcome  string
	problem  *problem.Error
	cause    error // of an unavailable host, for the log only
}

type noteKey struct{}

// noted is the call's note; one that nobody reads where there is none.
func noted(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}
