// Package tokenproctest lets you test your own code against token procedures: it gives the custom resource definitions for
// envtest, the reference CM host in process with certificates of its own, officers who sign, and the operator.
//
//	environment := &envtest.Environment{CRDs: tokenproctest.CRDs()}
//	one, two := tokenproctest.NewOfficer(t, "officer-1"), tokenproctest.NewOfficer(t, "officer-2")
//	host := tokenproctest.StartHost(t, one, two)
//	tokenproctest.StartOperator(t, config, "pki")
//
// Its own test is the example to copy. Everything ends with the test. Only tests may import it: keys are thrown away, and
// the host keeps its database in the test's folder.
package tokenproctest

import (
	"bytes"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/config/crd/bases"
)

// CRDs are the custom resource definitions of this module's version, for envtest.Environment.CRDs or for
// envtest.InstallCRDs.
func CRDs() []*apiextensionsv1.CustomResourceDefinition {
	entries, err := bases.FS.ReadDir(".")
	if err != nil {
		panic(err) // what is embedded can be read
	}
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, entry := range entries {
		content, err := bases.FS.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(bytes.TrimPrefix(content, []byte("---\n")), definition); err != nil {
			panic(fmt.Sprintf("%s: %v", entry.Name(), err))
		}
		definitions = append(definitions, definition)
	}
	return definitions
}

// Procedure is a TokenProcedure at revision 1 that keeps every rule and refers to the sample catalogue that StartHost
// loads. Its procedure is named like the object.
func Procedure(namespace, name, cmHost string) *v1alpha1.TokenProcedure {
	return &v1alpha1.TokenProcedure{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TokenProcedureSpec{
			CMHostRef: v1alpha1.CMHostReference{Name: cmHost},
			Revision:  new(int64(1)),
			Procedure: v1alpha1.Procedure{
				Name:                  v1alpha1.ListedName(name),
				State:                 v1alpha1.StateActive,
				StorageProfile:        v1alpha1.StorageProfileSmartCard,
				CardSerialNumber:      &v1alpha1.CardSerialNumber{Enabled: new(false)},
				PINProcedure:          "PIN letter",
				IssuerCertificates:    &v1alpha1.IssuerCertificates{Policy: v1alpha1.StoreNone},
				CertificateProcedures: []v1alpha1.ListedName{"Authentication", "Signature"},
			},
		},
	}
}
