package rules

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

func TestSmoke(t *testing.T) {
	for _, text := range []string{`
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: employee-card, namespace: pki}
spec:
  cmHostRef: {name: production}
  revision: 1
  procedure:
    name: Employee card
    state: Active
    storageProfile: SmartCard
    cardSerialNumber:
      enabled: true
      range: {from: "100000", to: "199999"}
    pinProcedure: PIN letter
    issuerCertificates: {policy: StoreAll, recoveredCertificates: Store}
    attributeCertificateProcedures: []
    certificateProcedures: [Authentication, Signature]
`, `
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: employee-card2, namespace: pki}
spec:
  cmHostRef: {name: production}
  procedure:
    name: Employee card
    storageProfile: SmartCard
    keyProcedures: [" a", a, b, a]
    pinProcedure: ""
    visibleInSubdomain: true
    cardSerialNumber: {enabled: true, range: {from: "2", to: "1"}}
`, `
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: employee-card3, namespace: pki}
spec:
  cmHostRef: {name: production}
  procedure:
    name: Employee card
    storageProfile: PKCS10
    keyProcedures: [" a", a, b, a]
    pinProcedure: "1"
    issuerCertificates: {recoveredCertificates: Store}
    cardSerialNumber: {enabled: true, range: {from: "2", to: "x1"}}
`} {
		u := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &u); err != nil {
			t.Fatal(err)
		}
		for _, f := range rules.ValidateCreate(u) {
			t.Log(f)
		}
		t.Log(server.Create(context.Background(), &unstructured.Unstructured{Object: u}))
	}
}
