package request

import (
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// FromV1alpha1 converts a custom resource's procedure to the frozen schema, in normal form.
func FromV1alpha1(p *v1alpha1.Procedure) Procedure {
	converted := Procedure{
		Name:                           string(p.Name),
		State:                          string(p.State),
		Domain:                         string(p.Domain),
		VisibleInSubdomain:             p.VisibleInSubdomain != nil && *p.VisibleInSubdomain,
		StorageProfile:                 string(p.StorageProfile),
		PINProcedure:                   string(p.PINProcedure),
		KeyProcedures:                  convertList[string](p.KeyProcedures),
		AttributeCertificateProcedures: convertList[string](p.AttributeCertificateProcedures),
		CertificateProcedures:          convertList[string](p.CertificateProcedures),
		InputView:                      string(p.InputView),
	}
	if c := p.CardSerialNumber; c != nil {
		converted.CardSerialNumber = &CardSerialNumber{Enabled: c.Enabled}
		if r := c.Range; r != nil {
			converted.CardSerialNumber.Range = &SerialNumberRange{From: string(r.From), To: string(r.To)}
		}
	}
	if i := p.IssuerCertificates; i != nil {
		converted.IssuerCertificates = &IssuerCertificates{Policy: string(i.Policy), RecoveredCertificates: string(i.RecoveredCertificates)}
	}
	return converted.Normalize()
}

// ToV1alpha1 converts a procedure of the frozen schema to the custom resource's form.
func ToV1alpha1(p Procedure) v1alpha1.Procedure {
	converted := v1alpha1.Procedure{
		Name:                           v1alpha1.ListedName(p.Name),
		State:                          v1alpha1.ProcedureState(p.State),
		Domain:                         v1alpha1.Name(p.Domain),
		StorageProfile:                 v1alpha1.StorageProfile(p.StorageProfile),
		PINProcedure:                   v1alpha1.Name(p.PINProcedure),
		KeyProcedures:                  convertList[v1alpha1.ListedName](p.KeyProcedures),
		AttributeCertificateProcedures: convertList[v1alpha1.ListedName](p.AttributeCertificateProcedures),
		CertificateProcedures:          convertList[v1alpha1.ListedName](p.CertificateProcedures),
		InputView:                      v1alpha1.Name(p.InputView),
	}
	if p.VisibleInSubdomain {
		converted.VisibleInSubdomain = &p.VisibleInSubdomain
	}
	if c := p.CardSerialNumber; c != nil {
		converted.CardSerialNumber = &v1alpha1.CardSerialNumber{Enabled: clone(c.Enabled)}
		if r := c.Range; r != nil {
			converted.CardSerialNumber.Range = &v1alpha1.SerialNumberRange{From: v1alpha1.SerialNumber(r.From), To: v1alpha1.SerialNumber(r.To)}
		}
	}
	if i := p.IssuerCertificates; i != nil {
		converted.IssuerCertificates = &v1alpha1.IssuerCertificates{
			Policy:                v1alpha1.IssuerCertificatePolicy(i.Policy),
			RecoveredCertificates: v1alpha1.RecoveredCertificatePolicy(i.RecoveredCertificates),
		}
	}
	return converted
}

func convertList[To, From ~string](list []From) []To {
	if len(list) == 0 {
		return nil
	}
	converted := make([]To, len(list))
	for i, entry := range list {
		converted[i] = To(entry)
	}
	return converted
}
