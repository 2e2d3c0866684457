//go:build pkcs11

package main_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys/keystest"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

const procedure = `apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: visitor-file, namespace: pki}
spec:
  cmHostRef: {name: local}
  revision: 1
  procedure:
    name: Visitor file
    state: Active
    storageProfile: Data
    certificateProcedures: [Signature]
`

// TestSignWithAToken signs with the built plugin and a key that never leaves its token, and judges what comes out.
func TestSignWithAToken(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "kubectl-tokenproc")
	if output, err := exec.Command("go", "build", "-tags", "pkcs11", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the plugin with PKCS#11, which needs cgo and a C compiler: %v\n%s", err, output)
	}
	for _, kind := range []string{"RSA", "EC"} {
		t.Run(kind, func(t *testing.T) {
			folder := keystest.Token(t, kind, true)
			for name, content := range map[string]string{"procedure.yaml": procedure, "pin": "123456\n"} {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			sign := exec.Command(plugin, "sign", "-f", "procedure.yaml", "--audience", "cm.test", "--yes", "--out", "signature.yaml",
				"--key", "pkcs11:token=Officer%20card;object=Signature?module-path="+keystest.SoftHSM, "--pin-file", "pin")
			sign.Dir = folder
			if output, err := sign.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", sign.Args, err, output)
			}
			verdict := signing.Judge(signatureIn(t, folder), signing.Terms{
				Register: signing.NewRegister([]signing.Officer{{
					ID: "officer", State: "Active", Roles: []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks}, Certificates: [][]byte{certificateIn(t, folder)},
				}}, domains.Tree{}),
				Audience: "cm.test", ProcedureName: "Visitor file", MaxSignatureAge: time.Hour, Now: time.Now(),
			})
			if !verdict.Verified() {
				t.Errorf("%s: %s", verdict.Reason, verdict.Message)
			}
		})
	}
}

func signatureIn(t *testing.T, folder string) []byte {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join(folder, "signature.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var object v1alpha1.ProcedureSignature
	if err := yaml.UnmarshalStrict(manifest, &object); err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(object.Spec.Signature)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func certificateIn(t *testing.T, folder string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "card.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return block.Bytes
}
