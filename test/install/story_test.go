package install

import (
	"bytes"
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/test/tokenproctest"
)

const (
	soon   = 40 * time.Second
	minute = 70 * time.Second // a minute, and what a busy machine adds
)

// The operator goes through the whole story as the service account of its Deployment, with its arguments, the policies in
// force, and nothing but the roles that are shipped; everybody else has the roles for people.
func TestStory(t *testing.T) {
	for _, c := range []struct {
		directory  string
		namespaced bool
	}{
		{"config/default", false},
		{"config/namespaced", true},
	} {
		t.Run(c.directory, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "../../"+c.directory)
			w.connect()
			w.tell()
			if c.namespaced {
				w.staysInItsNamespace()
			} else {
				w.rotate() // takes a minute
			}
			w.operator.stop(t)
			w.checkAudit()
		})
	}
}

// world is a cluster with the operator, the namespace pki with its people, and a CM host.
type world struct {
	*WithT
	t         *testing.T
	cluster   *cluster
	operator  *operator
	host      *tokenproctest.Host
	one, two  *tokenproctest.Officer
	procedure *cmv1.TokenProcedure
	// owner administers the namespace, editor writes procedures, signer has only the role for signing.
	owner, editor, signer client.Client
}

func newWorld(t *testing.T, directory string) *world {
	w := &world{WithT: NewWithT(t), t: t, cluster: newCluster(t)}
	w.SetDefaultEventuallyTimeout(soon)
	w.cluster.must(t, "create", "namespace", "pki")
	w.cluster.must(t, "apply", "--validate=strict", "-k", directory) // on the client's side, as many do; elsewhere on the server's
	w.operator = w.cluster.startOperator(t)
	w.one, w.two = tokenproctest.NewOfficer(t, "officer-1"), tokenproctest.NewOfficer(t, "officer-2")
	w.host = tokenproctest.StartHost(t, w.one, w.two)
	for user, roles := range map[string][]string{
		"owner":  {"token-procedure-view", "token-procedure-edit", "token-procedure-admin"},
		"editor": {"token-procedure-view", "token-procedure-edit"},
		"signer": {"procedure-signer"},
	} {
		for _, role := range roles {
			w.cluster.must(t, "create", "rolebinding", user+"-"+role, "-n", "pki", "--user="+user, "--clusterrole="+role)
		}
	}
	w.owner, w.editor, w.signer = w.cluster.as(t, "owner"), w.cluster.as(t, "editor"), w.cluster.as(t, "signer")
	return w
}

// connect makes the CMHost, which is the owner's, and waits until it is Ready.
func (w *world) connect() {
	w.t.Helper()
	w.cluster.create(w.t, w.host.Secret("pki", "cm-client"))
	w.Eventually(func() error { return w.owner.Create(context.Background(), w.cmHost("production", "cm-client")) }).Should(Succeed())
	w.Eventually(w.reason(&cmv1.CMHost{}, "production", "Ready")).Should(Equal("True Connected"))
}

func (w *world) cmHost(name, secret string) *cmv1.CMHost {
	return &cmv1.CMHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pki", Name: name},
		Spec:       cmv1.CMHostSpec{URL: w.host.URL(), Audience: w.host.Audience(), TLSSecretRef: cmv1.SecretReference{Name: secret}},
	}
}

// tell goes from the first manifest to a Closed procedure whose object is gone.
func (w *world) tell() {
	ctx := context.Background()
	w.procedure = tokenproctest.Procedure("pki", "employee-card", "production")
	w.procedure.Spec.DeletionPolicy = cmv1.DeletionPolicyClose
	w.Expect(w.editor.Create(ctx, w.procedure)).To(Succeed())
	w.Eventually(w.ready()).Should(Equal("False AwaitingSignatures"))
	w.Expect(w.procedure.Finalizers).To(ContainElement(cmv1.FinalizerClose))

	forged := w.one.Sign(w.t, w.host, w.procedure)
	forged.Name = "forged"
	forged.Spec.Signature = tampered(w.t, forged.Spec.Signature)
	w.Eventually(func() error { return w.signer.Create(ctx, forged) }).Should(Succeed())
	w.Eventually(w.reason(&cmv1.ProcedureSignature{}, "forged", "Verified")).Should(Equal("False BadSignature"))
	w.signed(w.procedure)
	w.Eventually(w.ready()).Should(Equal("True UpToDate"))
	w.Eventually(w.reason(w.procedure, "employee-card", "Active")).Should(Equal("True ActiveAtHost"))

	// No administrator makes a status say more than there is.
	status := w.procedure.DeepCopy()
	status.Status.Host.Revision = new(int64(7))
	w.Expect(w.cluster.admin.Status().Update(ctx, status)).To(MatchError(ContainSubstring("only the operator writes status")))

	// The operator starts again in the middle of a change.
	w.change(func(p *cmv1.TokenProcedure) { p.Spec.Revision, p.Spec.Procedure.InputView = new(int64(2)), "Visitor" })
	w.operator.stop(w.t)
	w.signed(w.procedure)
	w.operator = w.cluster.startOperator(w.t)
	w.Eventually(w.ready()).Should(Equal("True UpToDate"))
	w.Expect(w.procedure.Status.Host.Revision).To(HaveValue(BeEquivalentTo(2)))

	w.Expect(w.editor.Delete(ctx, w.procedure)).To(Succeed())
	w.Eventually(w.ready()).Should(Equal("False AwaitingSignatures"))
	w.Expect(w.procedure.Status.Request).To(HaveValue(HaveField("Revision", BeEquivalentTo(3))))
	closing := w.procedure.DeepCopy()
	closing.Spec.Revision, closing.Spec.Procedure.State = new(int64(3)), cmv1.StateClosed
	w.signed(closing)
	w.Eventually(func() error { return w.cluster.admin.Get(ctx, client.ObjectKeyFromObject(w.procedure), w.procedure) }).
		Should(Satisfy(apierrors.IsNotFound))
	stored, err := w.host.Client().GetTokenProcedureWithResponse(ctx, "employee-card")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(stored.JSON200.Procedure.State).To(BeEquivalentTo("Closed"))

	w.operator.checkMetrics(w)
}

// signed has both officers sign what an object stands for.
func (w *world) signed(procedure *cmv1.TokenProcedure) {
	w.t.Helper()
	for _, officer := range []*tokenproctest.Officer{w.one, w.two} {
		w.Expect(w.signer.Create(context.Background(), officer.Sign(w.t, w.host, procedure))).To(Succeed())
	}
}

func (w *world) change(how func(*cmv1.TokenProcedure)) {
	w.t.Helper()
	before := w.procedure.DeepCopy()
	how(w.procedure)
	w.Expect(w.editor.Patch(context.Background(), w.procedure, client.MergeFrom(before))).To(Succeed())
}

func (w *world) ready() func() string { return w.reason(w.procedure, "employee-card", "Ready") }

// reason reads an object and says what one of its conditions is, if it is about this generation.
func (w *world) reason(object client.Object, name, condition string) func() string {
	return func() string {
		if err := w.cluster.admin.Get(context.Background(), client.ObjectKey{Namespace: "pki", Name: name}, object); err != nil {
			return err.Error()
		}
		var conditions []metav1.Condition
		switch object := object.(type) {
		case *cmv1.TokenProcedure:
			conditions = object.Status.Conditions
		case *cmv1.ProcedureSignature:
			conditions = object.Status.Conditions
		case *cmv1.CMHost:
			conditions = object.Status.Conditions
		}
		found := meta.FindStatusCondition(conditions, condition)
		if found == nil || found.ObservedGeneration != object.GetGeneration() {
			return ""
		}
		return string(found.Status) + " " + found.Reason
	}
}

// tampered changes the content inside a signature.
func tampered(t *testing.T, signature string) string {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(der, []byte(`"state":"Active"`), []byte(`"state":"Closed"`), 1)
	if bytes.Equal(changed, der) {
		t.Fatal("expected the request inside the signature")
	}
	return base64.StdEncoding.EncodeToString(changed)
}

// staysInItsNamespace shows what an operator that is bound in pki does not reach.
func (w *world) staysInItsNamespace() {
	ctx := context.Background()
	w.cluster.must(w.t, "create", "namespace", "other")
	elsewhere := w.cmHost("production", "cm-client")
	elsewhere.Namespace = "other"
	w.cluster.create(w.t, w.host.Secret("other", "cm-client"), elsewhere, w.host.Secret("pki", "payroll"), w.cmHost("curious", "payroll"))
	w.Eventually(w.reason(&cmv1.CMHost{}, "curious", "Ready")).Should(Equal("False SecretNotFound"), "the role names the Secrets")
	w.Expect(w.cluster.admin.Get(ctx, client.ObjectKeyFromObject(elsewhere), elsewhere)).To(Succeed())
	w.Expect(elsewhere.Status.Conditions).To(BeEmpty())
	w.Expect(w.cluster.allowed(w.t, operatorUser, operatorGroups, "other")).To(BeEmpty())
	w.Expect(w.cluster.admin.Delete(ctx, w.cmHost("curious", "payroll"))).To(Succeed())
}

// rotate puts other certificates into the Secret: they are used within a minute, and at once after a refusal.
func (w *world) rotate() {
	ctx := context.Background()
	w.Expect(w.cluster.admin.Update(ctx, w.host.UnlistedSecret("pki", "cm-client"))).To(Succeed())
	w.Eventually(w.reason(&cmv1.CMHost{}, "production", "Ready")).WithTimeout(minute).Should(Equal("False NotPermitted"))
	w.Eventually(func() ([]eventsv1.Event, error) {
		var events eventsv1.EventList
		err := w.cluster.admin.List(ctx, &events, client.InNamespace("pki"))
		return events.Items, err
	}).Should(ContainElement(HaveField("Reason", "NotPermitted")))
	w.Expect(w.cluster.admin.Update(ctx, w.host.Secret("pki", "cm-client"))).To(Succeed())
	w.Eventually(w.reason(&cmv1.CMHost{}, "production", "Ready")).Should(Equal("True Connected"))
}

// checkAudit looks at everything that the operator has asked the API server for.
func (w *world) checkAudit() {
	w.t.Helper()
	requests := w.cluster.audit(w.t, operatorUser)
	secrets := 0
	for _, request := range requests {
		object := request.ObjectRef
		switch {
		case object.Resource == "secrets" && (request.Verb != "get" || object.Namespace != "pki"),
			object.Resource == "secrets" && object.Name != "cm-client" && object.Name != "payroll":
			w.t.Errorf("expected the operator to get Secrets that a CMHost names, found %+v", request)
		case request.ResponseStatus.Code == 403 && object.Name != "payroll":
			w.t.Errorf("expected the shipped roles to be enough, found %+v", request)
		}
		if object.Resource == "secrets" {
			secrets++
		}
	}
	if secrets == 0 || len(requests) < 20 {
		w.t.Errorf("expected the audit log to have the operator's requests, found %d, %d of them for Secrets", len(requests), secrets)
	}
	if log := w.operator.log(); strings.Contains(log, "BEGIN") {
		w.t.Error("expected no PEM in the operator's log")
	}
	w.t.Logf("%d requests of the operator, %d of them for Secrets", len(requests), secrets)
}
