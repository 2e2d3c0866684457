package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// signedProcedure is one procedure with its two signatures, as objects and as a submission.
type signedProcedure struct {
	name       string
	procedure  *v1alpha1.TokenProcedure
	signatures [2]*v1alpha1.ProcedureSignature
	submission cmhostv1.Submission
}

// parts of a made procedure that are created together.
type parts int

const (
	onlyProcedure parts = iota
	onlyFirst
	both
)

// objects are those of the parts.
func (m *signedProcedure) objects(p parts) []client.Object {
	switch p {
	case onlyProcedure:
		return []client.Object{m.procedure}
	case onlyFirst:
		return []client.Object{m.signatures[0]}
	}
	return []client.Object{m.procedure, m.signatures[0], m.signatures[1]}
}

// make makes procedures for a namespace, signed by both officers. Their names on the host begin with the namespace's, and
// no two of a world share card serial numbers, which would be warned of.
func (w *world) make(namespace string, count int) ([]*signedProcedure, error) {
	all := make([]*signedProcedure, count)
	err := parallel(4, count, func(i int) (err error) {
		all[i], err = w.makeOne(namespace, i)
		return err
	})
	return all, err
}

func (w *world) makeOne(namespace string, i int) (*signedProcedure, error) {
	m := &signedProcedure{name: fmt.Sprintf("%s %d", namespace, i)}
	enabled, revision := true, int64(1)
	from := w.ranges.Add(1000)
	procedure := request.Procedure{
		Name: m.name, State: request.Active, StorageProfile: "SmartCard",
		CardSerialNumber: &request.CardSerialNumber{Enabled: &enabled, Range: &request.SerialNumberRange{From: fmt.Sprint(from), To: fmt.Sprint(from + 999)}},
		PINProcedure:     "PIN letter", KeyProcedures: []string{"Archive encryption key"},
		IssuerCertificates:    &request.IssuerCertificates{Policy: "StoreAll", RecoveredCertificates: "Store"},
		CertificateProcedures: []string{"Authentication", "Signature"}, InputView: "Employee",
	}
	signed := request.New(audience, revision, procedure)
	m.procedure = &v1alpha1.TokenProcedure{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("p%05d", i)},
		Spec:       v1alpha1.TokenProcedureSpec{CMHostRef: v1alpha1.CMHostReference{Name: hostName}, Revision: &revision, Procedure: request.ToV1alpha1(procedure)},
	}
	canonical, err := signed.Bytes()
	if err != nil {
		return nil, err
	}
	m.submission.Request = canonical
	for at, officer := range []*identity{w.people.one, w.people.two} {
		signature, err := signing.Sign(canonical, officer.certificate, officer.key, time.Now())
		if err != nil {
			return nil, err
		}
		m.submission.Signatures = append(m.submission.Signatures, signature)
		m.signatures[at] = signatureObject(m.procedure, fmt.Sprintf("r1-%d", at+1), signature)
	}
	return m, nil
}

func signatureObject(procedure *v1alpha1.TokenProcedure, suffix string, signature []byte) *v1alpha1.ProcedureSignature {
	return &v1alpha1.ProcedureSignature{
		ObjectMeta: metav1.ObjectMeta{Namespace: procedure.Namespace, Name: procedure.Name + "-" + suffix},
		Spec: v1alpha1.ProcedureSignatureSpec{
			ProcedureRef: v1alpha1.TokenProcedureReference{Name: procedure.Name}, Signature: base64.StdEncoding.EncodeToString(signature),
		},
	}
}

// bogus are signatures of a procedure that do not count, of three sorts: by nobody who is registered, of other content
// than was signed, and no signature at all.
func (w *world) bogus(m *signedProcedure, count int) ([]client.Object, error) {
	all := make([]client.Object, count)
	for i := range all {
		signer := []*identity{w.people.stranger, w.people.one, w.people.one}[i%3]
		signature, err := signing.Sign(m.submission.Request, signer.certificate, signer.key, time.Now())
		if err != nil {
			return nil, err
		}
		switch i % 3 {
		case 1:
			signature[len(signature)-1] ^= 1
		case 2:
			signature = signature[:len(signature)/2]
		}
		all[i] = signatureObject(m.procedure, fmt.Sprintf("bogus-%d", i), signature)
	}
	return all, nil
}

// create creates the objects of some parts, by an administrator.
func (w *world) create(ctx context.Context, all []*signedProcedure, which parts) error {
	return parallel(32, len(all), func(i int) error {
		for _, object := range all[i].objects(which) {
			if err := w.api.Create(ctx, object); err != nil {
				return err
			}
		}
		return nil
	})
}
