package e2e

import (
	"testing"

	. "github.com/onsi/gomega"
)

// What is in git is what is in the cluster, also after the operator has been at work: nobody who applies it again, or only
// asks, finds a difference. Argo CD would show one as OutOfSync for good, Flux would correct it for ever.
func TestGitHasNoPermanentDifference(t *testing.T) {
	s := up(t)
	s.do(`mkdir git && cp config/samples/*.yaml git/ && rm git/kustomization.yaml
for officer in officer-1 officer-2; do
  kubectl tokenproc sign -f git/smart-card.yaml --audience cm.local --yes --out git/signature-$officer.yaml --key file:.local/officers/$officer.key --cert .local/officers/$officer.crt
done
kubectl apply -n pki --server-side --field-manager=argocd-controller -f git`)
	s.Eventually(func() string {
		return s.do(`kubectl get tp,psig -n pki -o json | jq -r '.items[] | select(.status.observedGeneration != .metadata.generation or .status.conditions == null) | .metadata.name'`)
	}).Should(BeEmpty(), "the operator has reported on everything")
	s.Eventually(func() string {
		return s.do(`kubectl get tp -n pki -o json | jq -c '[.items[].metadata.finalizers // empty]'`)
	}).Should(ContainSubstring("cm.tokenprocedures.dev/close"))

	s.do(`kubectl diff -n pki --server-side --field-manager=argocd-controller -f git`)
	s.do(`kubectl diff -n pki -f git`)
	live := `jq -S '[(.items // [.])[] | {kind, name: .metadata.name, generation: .metadata.generation, labels: .metadata.labels, spec}] | sort_by(.kind + .name)'`
	before := s.do(`kubectl get tp,psig -n pki -o json | ` + live)
	asked := s.do(`kubectl apply -n pki --server-side --dry-run=server --field-manager=somebody-else -f git -o json | ` + live)
	s.Expect(asked).To(Equal(before), "applied by another manager, nothing would be different")
	s.do(`kubectl apply -n pki --server-side --field-manager=argocd-controller -f git`)
	s.Expect(s.do(`kubectl get tp,psig -n pki -o json | `+live)).To(Equal(before), "applied again, no generation has risen")
}
