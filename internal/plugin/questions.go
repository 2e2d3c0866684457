package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// question is a field of a procedure that `new` asks for, in the order of the desktop program's dialog. Which storage
// profile needs it, or may have it, is not said here: the rules are asked.
type question struct {
	path    []string // in spec.procedure
	label   string
	flag    string
	help    string
	preset  string            // what a new procedure has without being asked
	enter   string            // what pressing enter means, where that is not plainly nothing
	aside   string            // where to look before answering
	hints   map[string]string // what choices are good for
	list    bool
	parse   func(string) (any, error)
	sample  any // a value that keeps every rule about the value itself
	choices func(*rules.Catalog) []string
}

var questions = []question{
	{path: []string{"name"}, label: "Procedure name", flag: "name", help: "procedure name, as the CM host shows it", parse: asText, sample: "Name"},
	{path: []string{"state"}, label: "State", flag: "state", help: "Active or Closed; Active without it, and not asked", preset: "Active", parse: asText, sample: "Active", choices: fixed("Active", "Closed")},
	{path: []string{"domain"}, label: "Domain", flag: "domain", enter: "Root", help: "domain; Root without it", parse: asText, sample: "Root", choices: domainNames},
	{path: []string{"visibleInSubdomain"}, label: "Visible in subdomain", flag: "visible-in-subdomain", enter: "no", help: "true: usable from the domains below", parse: asBool, sample: true},
	{path: []string{"storageProfile"}, label: "Storage profile", flag: "storage-profile", help: "SmartCard, PKCS12, PKCS10, AttributeCertificateFile or Data", parse: asText, sample: "Data", choices: profileNames, hints: map[string]string{
		"SmartCard": "keys on a card or USB token", "PKCS12": "keys and certificates in a file with a passphrase", "PKCS10": "the person brings the key and a certificate request",
		"AttributeCertificateFile": "attribute certificates in a file", "Data": "certificates alone"}},
	{path: []string{"cardSerialNumber"}, label: "Card serial number range", flag: "serial-range", aside: "kubectl tokenproc ranges --free shows what no other procedure uses", help: "card serial numbers FROM-TO, or none for cards without", parse: asSerials, sample: map[string]any{"enabled": false}},
	{path: []string{"pinProcedure"}, label: "PIN procedure", flag: "pin-procedure", help: "PIN procedure: how the PIN reaches the person", parse: asText, sample: "PIN", choices: pinNames},
	{path: []string{"keyProcedures"}, label: "Key procedures", flag: "key-procedures", help: "key procedures for archiving or recovery, with commas between", list: true, parse: asList, sample: []any{"Key"}, choices: keyNames},
	{path: []string{"issuerCertificates", "policy"}, label: "Issuer certificates", flag: "issuer-certificates", help: "StoreAll, StoreNone, StoreRoot or StoreIssuingCA", parse: asText, sample: "StoreNone", choices: fixed("StoreAll", "StoreNone", "StoreRoot", "StoreIssuingCA")},
	{path: []string{"issuerCertificates", "recoveredCertificates"}, label: "CAs for recovered certificates", flag: "recovered-certificates", help: "Store or DoNotStore; not with StoreNone", parse: asText, sample: "Store", choices: fixed("Store", "DoNotStore")},
	{path: []string{"attributeCertificateProcedures"}, label: "Attribute certificate procedures", flag: "attribute-certificate-procedures", help: "attribute certificate procedures, with commas between", list: true, parse: asList, sample: []any{"Attribute"}, choices: attributeNames},
	{path: []string{"certificateProcedures"}, label: "Certificate procedures, in order", flag: "certificate-procedures", help: "certificate procedures in order, with commas between", list: true, parse: asList, sample: []any{"Certificate"}, choices: certificateNames},
	{path: []string{"inputView"}, label: "Input view", flag: "input-view", enter: "the default view", help: "input view; the default view without it", parse: asText, sample: "View", choices: viewNames},
}

func (q question) offers(catalog *rules.Catalog) []string {
	if q.choices == nil {
		return nil
	}
	return q.choices(catalog)
}

// without says what leaving the answer out means.
func (q question) without() string {
	if q.enter == "" {
		return " (optional)"
	}
	return " (optional, Enter: " + q.enter + ")"
}

// check refuses an answer that is none of the choices which do not depend on a CM host.
func (q question) check(answer string) error {
	if q.choices == nil {
		return nil
	}
	if fixed := q.choices(nil); len(fixed) > 0 && !slices.Contains(fixed, answer) {
		return fmt.Errorf("%q is not known: expected %s", answer, strings.Join(fixed, ", "))
	}
	return nil
}

// hint says how to answer.
func (q question) hint(offered int) string {
	switch {
	case q.flag == "serial-range":
		return " (FROM-TO, or none)"
	case q.flag == "visible-in-subdomain":
		return " (yes or no)"
	case offered > 0 && q.list:
		return " (numbers or names, with commas between)"
	case offered > 0:
		return " (number or name)"
	case q.list:
		return " (names, with commas between)"
	default:
		return ""
	}
}

// byNumber replaces numbers by what was offered under them.
func byNumber(answer string, offered []string, list bool) string {
	parts := []string{answer}
	if list {
		parts = strings.Split(answer, ",")
	}
	for i, part := range parts {
		if number, err := strconv.Atoi(strings.TrimSpace(part)); err == nil && number >= 1 && number <= len(offered) {
			parts[i] = offered[number-1]
		}
	}
	return strings.Join(parts, ",")
}

func asText(text string) (any, error) { return strings.TrimSpace(text), nil }

func asBool(text string) (any, error) {
	switch strings.ToLower(text) {
	case "yes", "y", "true":
		return true, nil
	case "no", "n", "false":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither yes nor no", text)
}

func asList(text string) (any, error) {
	var list []any
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list, nil
}

func asSerials(text string) (any, error) {
	if slices.Contains([]string{"none", "no", "n"}, strings.ToLower(text)) {
		return map[string]any{"enabled": false}, nil
	}
	from, to, found := strings.Cut(text, "-")
	if !found {
		return nil, errors.New("expected FROM-TO, for example 100000-199999, or none")
	}
	return map[string]any{"enabled": true, "range": map[string]any{"from": strings.TrimSpace(from), "to": strings.TrimSpace(to)}}, nil
}

func fixed(choices ...string) func(*rules.Catalog) []string {
	return func(*rules.Catalog) []string { return choices }
}

// draftManifest is a manifest while it is being answered.
type draftManifest struct{ object map[string]any }

func newDraftManifest(cmHost string) *draftManifest {
	return &draftManifest{object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "TokenProcedure", "metadata": map[string]any{"name": "new"},
		"spec": map[string]any{"cmHostRef": map[string]any{"name": cmHost}, "revision": int64(1), "procedure": map[string]any{}},
	}}
}

// set takes an answer; an empty one leaves the field out.
func (d *draftManifest) set(q question, answer string) error {
	path := append([]string{"spec", "procedure"}, q.path...)
	if answer == "" {
		unstructured.RemoveNestedField(d.object, path...)
		return nil
	}
	if err := q.check(answer); err != nil {
		return err
	}
	value, err := q.parse(answer)
	if err != nil {
		return err
	}
	return unstructured.SetNestedField(d.object, value, path...)
}

// about keeps the findings about a question's field.
func (q question) about(findings []rules.Finding) []rules.Finding {
	field := "spec.procedure." + strings.Join(q.path, ".")
	var kept []rules.Finding
	for _, finding := range findings {
		if finding.Field == field || strings.HasPrefix(finding.Field, field+".") || strings.HasPrefix(finding.Field, field+"[") {
			kept = append(kept, finding)
		}
	}
	return kept
}

// requires tells whether the rules miss the field in what was answered so far.
func (d *draftManifest) requires(q question, catalog *rules.Catalog) bool {
	return len(d.broken(q, catalog)) > 0
}

// allows tells whether the rules would take the field, and miss nothing else because of it.
func (d *draftManifest) allows(q question) bool {
	tried := &draftManifest{object: (&unstructured.Unstructured{Object: d.object}).DeepCopy().Object}
	if err := unstructured.SetNestedField(tried.object, q.sample, append([]string{"spec", "procedure"}, q.path...)...); err != nil {
		return false
	}
	missed := map[string]bool{}
	for _, finding := range rules.MissingFromDraft(d.object) {
		missed[finding.Field] = true
	}
	return len(tried.broken(q, nil)) == 0 && !slices.ContainsFunc(rules.MissingFromDraft(tried.object), func(f rules.Finding) bool { return !missed[f.Field] })
}

// broken lists the rules about a field that what was answered breaks, those about names too where there is a catalogue.
func (d *draftManifest) broken(q question, catalog *rules.Catalog) []rules.Finding {
	return append(q.about(rules.MissingFromDraft(d.object)), q.about(d.unknown(catalog))...)
}

// unknown lists the names that the CM host would refuse.
func (d *draftManifest) unknown(catalog *rules.Catalog) []rules.Finding {
	procedure, err := decodeProcedure(d.object)
	if err != nil || catalog == nil {
		return nil // what cannot be decoded breaks a rule as well
	}
	return rules.CheckReferences(request.FromV1alpha1(&procedure.Spec.Procedure), catalog)
}

// finish names the object, and its namespace if there is one.
func (d *draftManifest) finish(name, namespace string) map[string]any {
	if name == "" {
		procedure, _, _ := unstructured.NestedString(d.object, "spec", "procedure", "name")
		name = objectName(procedure, map[string]bool{})
	}
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	d.object["metadata"] = metadata
	return d.object
}

func domainNames(c *rules.Catalog) []string {
	if c == nil {
		return nil
	}
	var names []string
	for _, domain := range c.Domains {
		if domain.State == rules.Active {
			names = append(names, domain.Name)
		}
	}
	return names
}

func profileNames(c *rules.Catalog) []string {
	if c == nil {
		return []string{"SmartCard", "PKCS12", "PKCS10", "AttributeCertificateFile", "Data"}
	}
	return c.StorageProfiles
}

func pinNames(c *rules.Catalog) []string {
	return activeNames(c, func(c *rules.Catalog) []rules.CatalogObject { return c.PINProcedures })
}

func attributeNames(c *rules.Catalog) []string {
	return activeNames(c, func(c *rules.Catalog) []rules.CatalogObject { return c.AttributeCertificateProcedures })
}

func viewNames(c *rules.Catalog) []string {
	return activeNames(c, func(c *rules.Catalog) []rules.CatalogObject { return c.InputViews })
}

func keyNames(c *rules.Catalog) []string {
	return activeNames(c, func(c *rules.Catalog) []rules.CatalogObject {
		objects := make([]rules.CatalogObject, len(c.KeyProcedures))
		for i, procedure := range c.KeyProcedures {
			objects[i] = procedure.CatalogObject
		}
		return objects
	})
}

func certificateNames(c *rules.Catalog) []string {
	return activeNames(c, func(c *rules.Catalog) []rules.CatalogObject {
		objects := make([]rules.CatalogObject, len(c.CertificateProcedures))
		for i, procedure := range c.CertificateProcedures {
			objects[i] = procedure.CatalogObject
		}
		return objects
	})
}

// activeNames are the names of the Active objects of one kind; none without a catalogue.
func activeNames(c *rules.Catalog, kind func(*rules.Catalog) []rules.CatalogObject) []string {
	if c == nil {
		return nil
	}
	var names []string
	for _, object := range kind(c) {
		if object.State == rules.Active {
			names = append(names, object.Name)
		}
	}
	return names
}
