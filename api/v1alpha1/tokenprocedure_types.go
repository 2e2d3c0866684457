package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeletionPolicy says what deleting a TokenProcedure does to the procedure on
// the CM host.
// +kubebuilder:validation:Enum="";Retain;Close
type DeletionPolicy string

const (
	// DeletionPolicyRetain leaves the CM host alone.
	DeletionPolicyRetain DeletionPolicy = "Retain"
	// DeletionPolicyClose keeps the object until two officers have signed the
	// closing request and the CM host has closed the procedure.
	DeletionPolicyClose DeletionPolicy = "Close"
)

// CMHostReference names a CMHost in the same namespace.
type CMHostReference struct {
	// name is the name of a CMHost in the same namespace. While there is none, the
	// procedure waits and says CMHostNotFound.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// TokenProcedureSpec is a token procedure as it should be on the CM host, and
// how it gets there.
//
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || !self.?draft.orValue(false)`,fieldPath=".draft",reason=FieldValueForbidden,message="draft cannot be set again once the procedure was submitted for signing: remove it; to start over, create another object"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || has(self.revision)`,fieldPath=".revision",reason=FieldValueRequired,message="revision is missing: number the first request 1, and each later one higher"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.state) ? self.procedure.state : "") == (has(oldSelf.procedure.state) ? oldSelf.procedure.state : "")`,fieldPath=".revision",messageExpression="'state changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.domain) ? self.procedure.domain : "") == (has(oldSelf.procedure.domain) ? oldSelf.procedure.domain : "")`,fieldPath=".revision",messageExpression="'domain changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.visibleInSubdomain) ? self.procedure.visibleInSubdomain : false) == (has(oldSelf.procedure.visibleInSubdomain) ? oldSelf.procedure.visibleInSubdomain : false)`,fieldPath=".revision",messageExpression="'visibleInSubdomain changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.storageProfile) ? self.procedure.storageProfile : "") == (has(oldSelf.procedure.storageProfile) ? oldSelf.procedure.storageProfile : "")`,fieldPath=".revision",messageExpression="'storageProfile changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || ((has(self.procedure.cardSerialNumber) && has(self.procedure.cardSerialNumber.enabled)) == (has(oldSelf.procedure.cardSerialNumber) && has(oldSelf.procedure.cardSerialNumber.enabled)) && (has(self.procedure.cardSerialNumber) && has(self.procedure.cardSerialNumber.enabled) ? self.procedure.cardSerialNumber.enabled : false) == (has(oldSelf.procedure.cardSerialNumber) && has(oldSelf.procedure.cardSerialNumber.enabled) ? oldSelf.procedure.cardSerialNumber.enabled : false))`,fieldPath=".revision",messageExpression="'cardSerialNumber.enabled changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.cardSerialNumber) && has(self.procedure.cardSerialNumber.range) && has(self.procedure.cardSerialNumber.range.from) ? self.procedure.cardSerialNumber.range.from : "") == (has(oldSelf.procedure.cardSerialNumber) && has(oldSelf.procedure.cardSerialNumber.range) && has(oldSelf.procedure.cardSerialNumber.range.from) ? oldSelf.procedure.cardSerialNumber.range.from : "")`,fieldPath=".revision",messageExpression="'cardSerialNumber.range.from changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.cardSerialNumber) && has(self.procedure.cardSerialNumber.range) && has(self.procedure.cardSerialNumber.range.to) ? self.procedure.cardSerialNumber.range.to : "") == (has(oldSelf.procedure.cardSerialNumber) && has(oldSelf.procedure.cardSerialNumber.range) && has(oldSelf.procedure.cardSerialNumber.range.to) ? oldSelf.procedure.cardSerialNumber.range.to : "")`,fieldPath=".revision",messageExpression="'cardSerialNumber.range.to changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.pinProcedure) ? self.procedure.pinProcedure : "") == (has(oldSelf.procedure.pinProcedure) ? oldSelf.procedure.pinProcedure : "")`,fieldPath=".revision",messageExpression="'pinProcedure changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.keyProcedures) ? self.procedure.keyProcedures : []) == (has(oldSelf.procedure.keyProcedures) ? oldSelf.procedure.keyProcedures : [])`,fieldPath=".revision",messageExpression="'keyProcedures changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.issuerCertificates) && has(self.procedure.issuerCertificates.policy) ? self.procedure.issuerCertificates.policy : "") == (has(oldSelf.procedure.issuerCertificates) && has(oldSelf.procedure.issuerCertificates.policy) ? oldSelf.procedure.issuerCertificates.policy : "")`,fieldPath=".revision",messageExpression="'issuerCertificates.policy changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.issuerCertificates) && has(self.procedure.issuerCertificates.recoveredCertificates) ? self.procedure.issuerCertificates.recoveredCertificates : "") == (has(oldSelf.procedure.issuerCertificates) && has(oldSelf.procedure.issuerCertificates.recoveredCertificates) ? oldSelf.procedure.issuerCertificates.recoveredCertificates : "")`,fieldPath=".revision",messageExpression="'issuerCertificates.recoveredCertificates changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.attributeCertificateProcedures) ? self.procedure.attributeCertificateProcedures : []) == (has(oldSelf.procedure.attributeCertificateProcedures) ? oldSelf.procedure.attributeCertificateProcedures : [])`,fieldPath=".revision",messageExpression="'attributeCertificateProcedures changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.certificateProcedures) ? self.procedure.certificateProcedures : []) == (has(oldSelf.procedure.certificateProcedures) ? oldSelf.procedure.certificateProcedures : [])`,fieldPath=".revision",messageExpression="'certificateProcedures changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.?revision != oldSelf.?revision || (has(self.procedure.inputView) ? self.procedure.inputView : "") == (has(oldSelf.procedure.inputView) ? oldSelf.procedure.inputView : "")`,fieldPath=".revision",messageExpression="'inputView changed and revision is still %d: raise it to %d or more, for officers sign each change anew'.format([self.revision, self.revision + 1])"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?draft.orValue(false) || self.procedure.name == oldSelf.procedure.name`,fieldPath=".procedure.name",reason=FieldValueForbidden,message="name cannot be changed once the procedure was submitted for signing: set it back, close this procedure and create another object for the new name"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || self.procedure.?state.orValue("") != ""`,fieldPath=".procedure.state",reason=FieldValueRequired,message="state is missing: set it to Active, or to Closed for a procedure that is no longer used"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || self.procedure.?storageProfile.orValue("") != ""`,fieldPath=".procedure.storageProfile",reason=FieldValueRequired,message="storageProfile is missing: set it to SmartCard, PKCS12, PKCS10, AttributeCertificateFile or Data"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !self.procedure.?visibleInSubdomain.orValue(false) || self.procedure.?domain.orValue("") != ""`,fieldPath=".procedure.visibleInSubdomain",reason=FieldValueForbidden,message="visibleInSubdomain is true and there is no domain: name the domain, or remove visibleInSubdomain; what has no domain can be used from everywhere already"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["SmartCard"]) || self.procedure.?cardSerialNumber.?enabled.hasValue()`,fieldPath=".procedure.cardSerialNumber.enabled",reason=FieldValueRequired,message="cardSerialNumber.enabled is missing: storage profile SmartCard requires true, with a range that serial numbers are taken from, or false, for cards without one"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["PKCS12", "PKCS10", "AttributeCertificateFile", "Data"]) || (!self.procedure.?cardSerialNumber.?enabled.hasValue() && self.procedure.?cardSerialNumber.?range.?from.orValue("") == "" && self.procedure.?cardSerialNumber.?range.?to.orValue("") == "")`,fieldPath=".procedure.cardSerialNumber",reason=FieldValueForbidden,messageExpression="'cardSerialNumber must be absent for storage profile ' + self.procedure.storageProfile + ' and is set: remove it, or choose storage profile SmartCard'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !self.procedure.?cardSerialNumber.?enabled.orValue(false) || self.procedure.?cardSerialNumber.?range.?from.orValue("") != ""`,fieldPath=".procedure.cardSerialNumber.range.from",reason=FieldValueRequired,message="cardSerialNumber.range.from is missing while cardSerialNumber.enabled is true: give the first serial number of the range, or set enabled to false"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !self.procedure.?cardSerialNumber.?enabled.orValue(false) || self.procedure.?cardSerialNumber.?range.?to.orValue("") != ""`,fieldPath=".procedure.cardSerialNumber.range.to",reason=FieldValueRequired,message="cardSerialNumber.range.to is missing while cardSerialNumber.enabled is true: give the last serial number of the range, or set enabled to false"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || self.procedure.?cardSerialNumber.?enabled.orValue(true) || (self.procedure.?cardSerialNumber.?range.?from.orValue("") == "" && self.procedure.?cardSerialNumber.?range.?to.orValue("") == "")`,fieldPath=".procedure.cardSerialNumber.range",reason=FieldValueForbidden,message="cardSerialNumber.range must be absent while cardSerialNumber.enabled is false and is set: remove it, or set enabled to true"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["SmartCard", "PKCS12"]) || self.procedure.?pinProcedure.orValue("") != ""`,fieldPath=".procedure.pinProcedure",reason=FieldValueRequired,messageExpression="'pinProcedure is missing: storage profile ' + self.procedure.storageProfile + ' requires the name of the PIN procedure by which the PIN reaches the person'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["PKCS10", "AttributeCertificateFile", "Data"]) || self.procedure.?pinProcedure.orValue("") == ""`,fieldPath=".procedure.pinProcedure",reason=FieldValueForbidden,messageExpression="'pinProcedure must be absent for storage profile ' + self.procedure.storageProfile + ' and is set: remove it, or choose storage profile SmartCard or PKCS12'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["PKCS10", "AttributeCertificateFile", "Data"]) || size(self.procedure.?keyProcedures.orValue([])) == 0`,fieldPath=".procedure.keyProcedures",reason=FieldValueForbidden,messageExpression="'keyProcedures must be absent for storage profile ' + self.procedure.storageProfile + ' and has entries: remove them, or choose storage profile SmartCard or PKCS12'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["SmartCard", "PKCS12"]) || self.procedure.?issuerCertificates.?policy.orValue("") != ""`,fieldPath=".procedure.issuerCertificates.policy",reason=FieldValueRequired,messageExpression="'issuerCertificates.policy is missing: storage profile ' + self.procedure.storageProfile + ' requires StoreAll, StoreNone, StoreRoot or StoreIssuingCA'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["PKCS10"]) || self.procedure.?issuerCertificates.?recoveredCertificates.orValue("") == "" || self.procedure.?issuerCertificates.?policy.orValue("") != ""`,fieldPath=".procedure.issuerCertificates.policy",reason=FieldValueRequired,message="issuerCertificates.policy is missing beside issuerCertificates.recoveredCertificates: set it to StoreAll, StoreRoot or StoreIssuingCA, or remove issuerCertificates"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["AttributeCertificateFile", "Data"]) || (self.procedure.?issuerCertificates.?policy.orValue("") == "" && self.procedure.?issuerCertificates.?recoveredCertificates.orValue("") == "")`,fieldPath=".procedure.issuerCertificates",reason=FieldValueForbidden,messageExpression="'issuerCertificates must be absent for storage profile ' + self.procedure.storageProfile + ' and is set: remove it, or choose storage profile SmartCard, PKCS12 or PKCS10'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?issuerCertificates.?policy.orValue("") in ["StoreAll", "StoreRoot", "StoreIssuingCA"]) || self.procedure.?issuerCertificates.?recoveredCertificates.orValue("") != ""`,fieldPath=".procedure.issuerCertificates.recoveredCertificates",reason=FieldValueRequired,messageExpression="'issuerCertificates.recoveredCertificates is missing: policy ' + self.procedure.issuerCertificates.policy + ' requires Store or DoNotStore'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || self.procedure.?issuerCertificates.?policy.orValue("") != "StoreNone" || self.procedure.?issuerCertificates.?recoveredCertificates.orValue("") == ""`,fieldPath=".procedure.issuerCertificates.recoveredCertificates",reason=FieldValueForbidden,message="issuerCertificates.recoveredCertificates must be absent with policy StoreNone and is set: remove it, or choose another policy"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["AttributeCertificateFile"]) || size(self.procedure.?attributeCertificateProcedures.orValue([])) > 0`,fieldPath=".procedure.attributeCertificateProcedures",reason=FieldValueRequired,message="attributeCertificateProcedures is missing: storage profile AttributeCertificateFile requires 1 to 16 attribute certificate procedures"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["PKCS10", "Data"]) || size(self.procedure.?attributeCertificateProcedures.orValue([])) == 0`,fieldPath=".procedure.attributeCertificateProcedures",reason=FieldValueForbidden,messageExpression="'attributeCertificateProcedures must be absent for storage profile ' + self.procedure.storageProfile + ' and has entries: remove them, or choose storage profile SmartCard, PKCS12 or AttributeCertificateFile'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["PKCS10", "Data"]) || size(self.procedure.?certificateProcedures.orValue([])) > 0`,fieldPath=".procedure.certificateProcedures",reason=FieldValueRequired,messageExpression="'certificateProcedures is missing: storage profile ' + self.procedure.storageProfile + ' requires 1 to 16 certificate procedures'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["SmartCard", "PKCS12"]) || size(self.procedure.?certificateProcedures.orValue([])) > 0 || size(self.procedure.?keyProcedures.orValue([])) > 0`,fieldPath=".procedure.certificateProcedures",reason=FieldValueRequired,messageExpression="'certificateProcedures is missing and so is keyProcedures: storage profile ' + self.procedure.storageProfile + ' requires 1 to 16 certificate procedures, unless all key procedures are recoveries that reuse the certificate'"
// +kubebuilder:validation:XValidation:rule=`self.?draft.orValue(false) || !(self.procedure.?storageProfile.orValue("") in ["AttributeCertificateFile"]) || size(self.procedure.?certificateProcedures.orValue([])) == 0`,fieldPath=".procedure.certificateProcedures",reason=FieldValueForbidden,message="certificateProcedures must be absent for storage profile AttributeCertificateFile and has entries: remove them, or choose another storage profile"
type TokenProcedureSpec struct {
	// cmHostRef names the CMHost that the procedure is for, in the same namespace.
	// It cannot be changed, not even in a draft: what officers sign is for one CM
	// host only.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",reason=FieldValueForbidden,message="cmHostRef cannot be changed: set it back; for another CM host create another object, and its request is signed anew"
	CMHostRef CMHostReference `json:"cmHostRef,omitzero"`

	// draft saves, when true, the procedure without submitting it: it may be
	// incomplete, and it is never signed or sent to the CM host. Only rules about
	// one value hold meanwhile (types, names, bounds, repeats); the condition
	// Validated lists all that is still missing. Absent or false submits the
	// procedure for signing, for good: there is no way back to a draft.
	// +optional
	Draft *bool `json:"draft,omitempty"`

	// deletionPolicy says what deleting this object does on the CM host. Retain,
	// or none, leaves the host alone: the procedure stays there as it is. Close
	// keeps the object, in deletion, until two officers have signed the closing
	// request and the CM host has closed the procedure; a draft, or what the host
	// does not have or has closed already, goes at once. It can change at any time
	// without a new revision, also in deletion, where Retain releases the object.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// revision numbers what officers sign, from 1 to 9007199254740991 (2^53-1). It
	// is required unless this is a draft, never falls, and rises whenever
	// `procedure` changes, unless the object was a draft until then. Raising it
	// without a change asks for new signatures over the same content. The CM host
	// takes it if it is above its own by at most 10,000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",messageExpression="'revision fell from %d to %d: a revision never falls; set it to %d, or higher where procedure changes'.format([oldSelf, self, oldSelf])"
	Revision *int64 `json:"revision,omitempty"`

	// procedure is exactly what officers sign and what the CM host stores. A
	// change to it is a new request: it needs a higher revision, and two
	// signatures again. Empty lists, objects and strings, and false (but for
	// cardSerialNumber.enabled), count as absent, so that writing or leaving them
	// out is no change.
	// +required
	Procedure Procedure `json:"procedure,omitzero"`
}

// SignableRequest identifies a request that officers sign.
type SignableRequest struct {
	// revision is the revision in the request.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// digest is the SHA-256 digest of the request's bytes, as `sha256:` and 64
	// hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`
}

// SignatureStatus is one officer's signature over the request.
type SignatureStatus struct {
	// officerID is the officer's id in the CM host's register.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	OfficerID string `json:"officerID,omitempty"`

	// subject is the subject of the officer's certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject,omitempty"`

	// signatureName is the ProcedureSignature that holds the signature. It is
	// absent where only the CM host holds it.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SignatureName string `json:"signatureName,omitempty"`

	// signedAt is the signing time inside the signature.
	// +optional
	SignedAt metav1.Time `json:"signedAt,omitzero"`
}

// HostProcedureStatus is what the CM host has under the procedure's name.
type HostProcedureStatus struct {
	// revision is the revision on the CM host; 0 for a procedure that was made
	// elsewhere, without evidence.
	// +optional
	Revision *int64 `json:"revision,omitempty"`

	// digest is the digest of the request that the CM host accepted last.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`

	// state is the state on the CM host, Active or Closed.
	// +optional
	State ProcedureState `json:"state,omitempty"`

	// acceptedAt is when the CM host accepted that revision.
	// +optional
	AcceptedAt *metav1.Time `json:"acceptedAt,omitempty"`
}

// Warning is something worth knowing before anyone signs; it refuses nothing.
type Warning struct {
	// reason is the kind of warning, one CamelCase word.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message says what was found.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// TokenProcedureStatus is what the operator and the CM host say of a
// procedure. It is output only: nothing that leads to a submission reads it.
type TokenProcedureStatus struct {
	// observedGeneration is the generation that this status was made for; -1
	// before the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Validated (every rule that needs no signature holds), Signed
	// (two different officers have signed exactly this request), Synced (the CM
	// host has exactly this request), Ready (all three, for this generation),
	// Active and Closed (what the CM host has now, whatever git says), and while
	// they are true Reconciling or Stalled. A message says what is waited for or
	// what to do.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// request is what officers must sign now: its revision and the digest of its
	// bytes. It is absent while nobody is asked to sign.
	// +optional
	Request *SignableRequest `json:"request,omitempty"`

	// signatures are those over that request, one for each officer, those that
	// count first. Once the CM host has accepted the request they are those of its
	// evidence.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Signatures []SignatureStatus `json:"signatures,omitempty"`

	// countedSignatures is how many officers' signatures count for that request; 2 are needed.
	// It is what the column Signatures shows.
	// +optional
	// +kubebuilder:validation:Minimum=0
	CountedSignatures *int32 `json:"countedSignatures,omitempty"`

	// host is what the CM host has under this name now, whatever git says. It is
	// absent while the host has nothing.
	// +optional
	Host *HostProcedureStatus `json:"host,omitempty"`

	// warnings are things worth knowing before anyone signs; they refuse nothing.
	// Reasons are ShadowedCertificateProcedure, SeveralRecoveries,
	// OverlappingSerialRange and, for what was closed after the CM host had
	// accepted the procedure, ReferenceClosed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Warnings []Warning `json:"warnings,omitempty"`
}

// TokenProcedure is a token procedure of a certificate manager: the named set
// of parameters that is used whenever a token of that kind is issued. It takes
// effect on the CM host once two administration officers have signed it.
//
// +genclient
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tp,categories=tokenproc,scope=Namespaced
// +kubebuilder:selectablefield:JSONPath=`.spec.procedure.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.cmHostRef.name`
// +kubebuilder:selectablefield:JSONPath=`.status.host.state`
// +kubebuilder:printcolumn:name="Procedure",type=string,JSONPath=`.spec.procedure.name`
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.spec.procedure.storageProfile`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.host.state`,description="State on the CM host"
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.spec.revision`
// +kubebuilder:printcolumn:name="Signatures",type=integer,JSONPath=`.status.countedSignatures`,description="How many officers' signatures count; 2 are needed"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.cmHostRef.name`,priority=1
// +kubebuilder:printcolumn:name="Host revision",type=integer,JSONPath=`.status.host.revision`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type TokenProcedure struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the procedure as it should be on the CM host, and how it gets there.
	// +required
	Spec TokenProcedureSpec `json:"spec,omitzero"`

	// status is what the operator and the CM host say of the procedure.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status TokenProcedureStatus `json:"status,omitzero"`
}

// TokenProcedureList is a list of TokenProcedure.
//
// +kubebuilder:object:root=true
type TokenProcedureList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenProcedure `json:"items"`
}
