package load

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func sample(t *testing.T) rules.Catalog {
	t.Helper()
	catalog, err := ReadCatalog("../../../config/samples/host/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return *catalog
}

func TestCatalogsThatDoNotFitTogetherAreRefused(t *testing.T) {
	if err := CheckCatalog(sample(t)); err != nil {
		t.Fatalf("the sample: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*rules.Catalog)
		want   string
	}{
		"a storage profile that is none": {func(c *rules.Catalog) { c.StorageProfiles[0] = "Token" }, "Token"},
		"a name twice":                   {func(c *rules.Catalog) { c.InputViews[0].Name = "Visitor" }, "listed twice"},
		"a name with a path":             {func(c *rules.Catalog) { c.InputViews[0].Name = "../Visitor" }, "../Visitor"},
		"a name not in NFC":              {func(c *rules.Catalog) { c.InputViews[0].Name = "Zu\u0308rich" }, "not a name"},
		"an empty name":                  {func(c *rules.Catalog) { c.InputViews[0].Name = "" }, "not a name"},
		"a state that is none":           {func(c *rules.Catalog) { c.PINProcedures[0].State = "Open" }, "Active or Closed"},
		"a domain that is not there":     {func(c *rules.Catalog) { c.InputViews[0].Domain = "Sales" }, "Sales"},
		"visible below no domain":        {func(c *rules.Catalog) { c.InputViews[0].VisibleInSubdomain = true }, "needs a domain"},
		"Root among the domains":         {func(c *rules.Catalog) { c.Domains[0].Name = domains.Root }, "not listed"},
		"a parent that is not there":     {func(c *rules.Catalog) { c.Domains[0].Parent = "Sales" }, "Sales"},
		"a domain above itself":          {func(c *rules.Catalog) { c.Domains[0].Parent = "Emea" }, "above itself"},
		"a key procedure of no kind":     {func(c *rules.Catalog) { c.KeyProcedures[0].Kind = "" }, "Archive or Recovery"},
		"an archive that reuses":         {func(c *rules.Catalog) { c.KeyProcedures[0].ReusesCertificate = true }, "only a recovery"},
		"a key usage that is none":       {func(c *rules.Catalog) { c.CertificateProcedures[0].KeyUsages = []string{"signing"} }, "signing"},
	} {
		catalog := sample(t)
		c.change(&catalog)
		if err := CheckCatalog(catalog); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want a refusal with %q", name, err, c.want)
		}
	}
}

func TestRegistersThatDoNotFitTogetherAreRefused(t *testing.T) {
	one, two := signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2")
	sameKey := signingtest.New(t, "officer-2", func(o *signingtest.Options) { o.Key = one.Key })
	sameSubject := signingtest.New(t, "officer-2", func(o *signingtest.Options) { o.Subject = "officer-1" })
	sameName := signingtest.New(t, "officer-2", func(o *signingtest.Options) { o.Subject = "OFFICER-1 " })
	otherName := func(o *signingtest.Options) { o.Subject = "officer-3" }
	all := sample(t).Domains
	for _, renewed := range []signingtest.Officer{one.Renewed(t), one.Renewed(t, func(o *signingtest.Options) { o.Subject = "Officer-1" })} {
		if err := CheckOfficers(signingtest.Officers(one, renewed, two), all); err != nil {
			t.Fatalf("two officers, one with two certificates for %s: %v", renewed.Certificate.Subject, err)
		}
	}
	rsa := signingtest.New(t, "officer-1", func(o *signingtest.Options) { o.Kind = signingtest.RSA })
	sameRSA := signingtest.New(t, "officer-2", func(o *signingtest.Options) { o.Key = rsa.Key })
	sameRSA.Certificates = [][]byte{paddedKey(t, sameRSA.Certificate)}
	changed := func(change func(*signing.Officer)) []signing.Officer {
		list := signingtest.Officers(one, two)
		change(&list[1])
		return list
	}
	for name, c := range map[string]struct {
		officers []signing.Officer
		want     string
	}{
		"a key of two officers":                    {signingtest.Officers(one, sameKey), "share a public key"},
		"a key of two officers, encoded otherwise": {signingtest.Officers(rsa, sameRSA), "share a public key"},
		"a subject of two officers":                {signingtest.Officers(one, sameSubject), "share the subject"},
		"one name of two officers":                 {signingtest.Officers(one, sameName), "share the subject"},
		"a certificate for another name":           {signingtest.Officers(one, one.Renewed(t, otherName), two), "as in the first"},
		"a certificate of two officers":            {changed(func(o *signing.Officer) { o.Certificates = one.Certificates }), "share"},
		"an id twice":                              {changed(func(o *signing.Officer) { o.ID = "officer-1" }), "twice"},
		"an id with a line break":                  {changed(func(o *signing.Officer) { o.ID = "officer\n2" }), "printable"},
		"no certificate":                           {changed(func(o *signing.Officer) { o.Certificates = nil }), "0 certificates"},
		"another subject":                          {changed(func(o *signing.Officer) { o.Subject = "CN=somebody" }), "somebody"},
		"bytes that are no certificate":            {changed(func(o *signing.Officer) { o.Certificates = [][]byte{{1}} }), "certificate 1"},
		"a certificate twice":                      {changed(func(o *signing.Officer) { o.Certificates = append(o.Certificates, o.Certificates[0]) }), "listed twice"},
		"a state that is none":                     {changed(func(o *signing.Officer) { o.State = "Retired" }), "Active or Closed"},
		"a domain that is not there":               {changed(func(o *signing.Officer) { o.Domain = "Sales" }), "Sales"},
	} {
		if err := CheckOfficers(c.officers, all); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want a refusal with %q", name, err, c.want)
		}
	}
}

// paddedKey is a certificate with a zero byte behind the same RSA key, which crypto/x509 passes over. Its own signature is
// not good any more; nobody asks for that one.
func paddedKey(t *testing.T, certificate *x509.Certificate) []byte {
	t.Helper()
	var key struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	var whole struct{ Content, Algorithm, Signature asn1.RawValue }
	for der, into := range map[*[]byte]any{&certificate.RawSubjectPublicKeyInfo: &key, &certificate.Raw: &whole} {
		if _, err := asn1.Unmarshal(*der, into); err != nil {
			t.Fatal(err)
		}
	}
	key.Key = asn1.BitString{Bytes: append(slices.Clone(key.Key.Bytes), 0), BitLength: key.Key.BitLength + 8}
	padded, err := asn1.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Replace(whole.Content.Bytes, certificate.RawSubjectPublicKeyInfo, padded, 1)
	whole.Content = asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: content}
	der, err := asn1.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestDiffSaysWhatChanges(t *testing.T) {
	one, two := signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2")
	before, err := objects(signingtest.Officers(one, two), sample(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := sample(t)
	changed.PINProcedures = changed.PINProcedures[:1]
	changed.PINProcedures[0].State = "Closed"
	changed.InputViews = append(changed.InputViews, rules.CatalogObject{Name: "Guest", State: "Active"})
	after, err := objects(signingtest.Officers(one, one.Renewed(t)), changed)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, change := range diff(before, after) {
		got = append(got, change.String())
	}
	want := []string{
		`+ InputView "Guest"`, `~ Officer "officer-1": certificates (1 -> 2)`, `- Officer "officer-2"`,
		`~ PINProcedure "PIN letter": state "Active" -> "Closed"`, `- PINProcedure "User PIN"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if again := diff(after, after); len(again) > 0 {
		t.Errorf("the same again: %v", again)
	}
}
