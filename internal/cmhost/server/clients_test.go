package server

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
)

func TestClientsAreKnownByFingerprintOrName(t *testing.T) {
	spiffe, err := url.Parse("spiffe://example.com/operator")
	if err != nil {
		t.Fatal(err)
	}
	certificate := &x509.Certificate{Raw: []byte("certificate"), DNSNames: []string{"operator.example"}, URIs: []*url.URL{spiffe}, EmailAddresses: []string{"operator@example.com"}}
	fingerprint := Fingerprint(certificate)
	for name, c := range map[string]struct {
		submitters, readers []string
		want                role
	}{
		"nobody":                   {nil, nil, ""},
		"another":                  {[]string{"dns:other.example"}, []string{"sha256:" + strings.Repeat("0", 64)}, ""},
		"fingerprint":              {[]string{fingerprint}, nil, submitter},
		"fingerprint in capitals":  {nil, []string{"sha256:" + strings.ToUpper(fingerprint[7:])}, reader},
		"dns":                      {nil, []string{"dns:operator.example"}, reader},
		"uri":                      {[]string{"uri:spiffe://example.com/operator"}, nil, submitter},
		"email":                    {[]string{"email:operator@example.com"}, nil, submitter},
		"both roles, by two names": {[]string{"dns:operator.example"}, []string{fingerprint}, submitter},
		"both roles, by one name":  {[]string{"dns:operator.example"}, []string{"dns:operator.example"}, submitter},
		"a part of a name is none": {[]string{"dns:example"}, nil, ""},
		"a name of another kind":   {[]string{"email:operator.example"}, nil, ""},
	} {
		clients, err := NewClients(c.submitters, c.readers)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if found := clients.roleOf(certificate); found != c.want {
			t.Errorf("%s: %q; want %q", name, found, c.want)
		}
	}
	for _, wrong := range []string{"", "operator.example", "sha256:", "sha256:12", "dns:", "cn:operator"} {
		if _, err := NewClients([]string{wrong}, nil); err == nil {
			t.Errorf("%q was taken as a client", wrong)
		}
	}
}
