package install

import (
	"context"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	procedures = "cm.tokenprocedures.dev/tokenprocedures"
	signatures = "cm.tokenprocedures.dev/proceduresignatures"
	hosts      = "cm.tokenprocedures.dev/cmhosts"
	secrets    = "/secrets"
)

// subjects are all things and verbs that a role is tried on.
var (
	subjects = []string{procedures, procedures + "/status", procedures + "/finalizers", signatures, signatures + "/status", hosts, hosts + "/status", hosts + "/finalizers", secrets, "/configmaps", "/pods"}
	verbs    = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
)

func grants(subject string, verbs ...string) (all []string) {
	for _, verb := range verbs {
		all = append(all, verb+" "+subject)
	}
	return all
}

var (
	read     = []string{"get", "list", "watch"}
	write    = []string{"create", "update", "patch", "delete", "deletecollection"}
	canView  = slices.Concat(grants(procedures, read...), grants(signatures, read...), grants(hosts, read...))
	canEdit  = slices.Concat(canView, grants(procedures, write...), grants(signatures, write...))
	canAdmin = slices.Concat(canEdit, grants(hosts, write...))
)

// Kubernetes aggregates view into edit and edit into admin: so whoever has one has those before it.
func TestPeoplesRoles(t *testing.T) {
	for _, c := range []struct {
		name  string
		roles []string
		can   []string
	}{
		{"viewer", []string{"token-procedure-view"}, canView},
		{"editor", []string{"token-procedure-view", "token-procedure-edit"}, canEdit},
		{"admin", []string{"token-procedure-view", "token-procedure-edit", "token-procedure-admin"}, canAdmin},
		{"signer", []string{"procedure-signer"}, slices.Concat(grants(procedures, "get"), grants(signatures, "create"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			namespace := newNamespace(t)
			for _, role := range c.roles {
				bind(t, namespace, c.name, role)
			}
			// The authoriser learns of a binding a moment after it was created.
			NewWithT(t).Eventually(func() []string { return shared.allowed(t, c.name, nil, namespace) }).Should(Equal(sorted(c.can)))
			if got := shared.allowed(t, c.name, nil, "default"); len(got) != 0 {
				t.Errorf("expected nothing in another namespace, found %v", got)
			}
		})
	}
}

func TestRolesAggregate(t *testing.T) {
	for role, into := range map[string]string{"token-procedure-view": "view", "token-procedure-edit": "edit", "token-procedure-admin": "admin"} {
		found := &rbacv1.ClusterRole{}
		if err := shared.admin.Get(context.Background(), client.ObjectKey{Name: role}, found); err != nil {
			t.Fatal(err)
		}
		if found.Labels["rbac.authorization.k8s.io/aggregate-to-"+into] != "true" {
			t.Errorf("expected %s to be aggregated to %s, found the labels %v", role, into, found.Labels)
		}
	}
}

// The operator reads what it works on, writes status and finalizers, and of Secrets it gets those it knows by name.
func TestOperatorsRole(t *testing.T) {
	NewWithT(t).Eventually(func() []string { return shared.allowed(t, operatorUser, operatorGroups, "default") }).ShouldNot(BeEmpty())
	got := shared.allowed(t, operatorUser, operatorGroups, "default")
	for _, needed := range slices.Concat(
		grants(procedures, read...), grants(signatures, read...), grants(hosts, read...),
		grants(procedures+"/status", "patch"), grants(signatures+"/status", "patch"), grants(hosts+"/status", "patch"),
		grants(secrets, "get"),
	) {
		if !slices.Contains(got, needed) {
			t.Errorf("expected the operator to be allowed to %s", needed)
		}
	}
	for _, grant := range got {
		verb, subject, _ := strings.Cut(grant, " ")
		switch {
		case subject == secrets && verb != "get",
			subject == "/configmaps", subject == "/pods",
			verb == "delete", verb == "deletecollection", verb == "create",
			subject == signatures && slices.Contains(write, verb):
			t.Errorf("expected the operator not to be allowed to %s", grant)
		}
	}
}

func TestOnlyTheOperatorWritesStatus(t *testing.T) {
	ctx := context.Background()
	namespace := newNamespace(t)
	procedure := &cmv1.TokenProcedure{
		ObjectMeta: metav1.ObjectMeta{Name: "draft", Namespace: namespace},
		Spec: cmv1.TokenProcedureSpec{
			CMHostRef: cmv1.CMHostReference{Name: "local"}, Draft: new(true), Procedure: cmv1.Procedure{Name: "Draft"},
		},
	}
	shared.create(t, procedure)
	approved := func() *cmv1.TokenProcedure {
		changed := procedure.DeepCopy()
		changed.Status.Host = &cmv1.HostProcedureStatus{Revision: new(int64(1)), State: cmv1.StateActive}
		return changed
	}
	patch := client.MergeFrom(procedure)
	// The same status again changes nothing, so that it can be tried until the policy is in force.
	NewWithT(t).Eventually(func() error { return shared.admin.Status().Patch(ctx, approved(), patch) }).Should(
		And(Satisfy(apierrors.IsForbidden), MatchError(ContainSubstring("only the operator writes status"))))
	operator := shared.as(t, operatorUser, operatorGroups...)
	NewWithT(t).Eventually(func() error { return operator.Status().Patch(ctx, approved(), patch) }).Should(Succeed())
}

const operatorUser = "system:serviceaccount:" + operatorNamespace + ":" + operatorAccount

var operatorGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace, "system:authenticated"}

func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	shared.create(t, namespace)
	return namespace.Name
}

func bind(t *testing.T, namespace, user, role string) {
	t.Helper()
	shared.create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: namespace},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", APIGroup: rbacv1.GroupName, Name: role},
	})
}

// allowed asks the API server's authoriser about every verb on every subject.
func (c *cluster) allowed(t *testing.T, user string, groups []string, namespace string) (grants []string) {
	t.Helper()
	for _, subject := range subjects {
		group, resource, _ := strings.Cut(subject, "/")
		resource, subresource, _ := strings.Cut(resource, "/")
		for _, verb := range verbs {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, Groups: groups,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
				},
			}}
			if err := c.admin.Create(context.Background(), review); err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed {
				grants = append(grants, verb+" "+subject)
			}
		}
	}
	return sorted(grants)
}

func sorted(grants []string) []string {
	grants = slices.Clone(grants)
	slices.Sort(grants)
	return grants
}
