package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenProcedureReference names a TokenProcedure in the same namespace.
type TokenProcedureReference struct {
	// name is the name of a TokenProcedure in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ProcedureSignatureSpec is one officer's signature over one request. It
// cannot be changed.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",reason=FieldValueForbidden,message="spec cannot be changed: create another ProcedureSignature, under another name"
// +kubebuilder:validation:XValidation:rule="size(self.signature) % 4 == 0 && self.signature.matches('^[A-Za-z0-9+/]*={0,2}$')",fieldPath=".signature",message="signature is not base64 on one line, without white space: encode the DER output with `base64 -w0`"
type ProcedureSignatureSpec struct {
	// procedureRef names the TokenProcedure that was signed, in the same
	// namespace. The signature counts only if the signed request is for the
	// procedure of that object.
	// +required
	ProcedureRef TokenProcedureReference `json:"procedureRef,omitzero"`

	// signature is a CMS SignedData over the bytes that `kubectl tokenproc
	// request` prints, with these bytes inside: DER in base64 on one line, 4 to
	// 43,692 characters. openssl makes one with: openssl cms -sign -binary
	// -nodetach -md sha256 -in request.json -signer officer.pem -inkey officer.key
	// -outform DER | base64 -w0
	// +required
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=43692
	Signature string `json:"signature,omitempty"`
}

// OfficerStatus identifies the officer who made a signature.
type OfficerStatus struct {
	// id is the officer's id in the CM host's register.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`

	// subject is the subject of the officer's certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject,omitempty"`
}

// SignedRequestStatus identifies the request inside a signature.
type SignedRequestStatus struct {
	// revision is the revision in the request.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// digest is the SHA-256 digest of the request's bytes, as `sha256:` and 64
	// hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`

	// audience is the CM host that the request is for.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Audience string `json:"audience,omitempty"`
}

// ProcedureSignatureStatus is what the operator says of a signature. It is
// output only.
type ProcedureSignatureStatus struct {
	// observedGeneration is the generation that this status was made for; -1
	// before the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Verified and Counted, and Stalled for what can never
	// become good. Verified says whether an officer who may sign made it, over a
	// well-formed request for this procedure and CM host. Counted says whether it
	// covers the request that is to be signed now, or the one that the CM host
	// took last. Ready is True when it is Verified, and Counted or superseded by a
	// later revision.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// officer is who made the signature, by the CM host's register of officers. It
	// is absent while that is not known.
	// +optional
	Officer *OfficerStatus `json:"officer,omitempty"`

	// request is what was signed: revision, digest and CM host as they are inside
	// the signature.
	// +optional
	Request *SignedRequestStatus `json:"request,omitempty"`

	// signedAt is the signing time inside the signature.
	// +optional
	SignedAt *metav1.Time `json:"signedAt,omitempty"`
}

// ProcedureSignature is one administration officer's signature over exactly
// one revision of a TokenProcedure.
//
// +genclient
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=psig,categories=tokenproc,scope=Namespaced
// +kubebuilder:selectablefield:JSONPath=`.spec.procedureRef.name`
// +kubebuilder:printcolumn:name="Procedure",type=string,JSONPath=`.spec.procedureRef.name`
// +kubebuilder:printcolumn:name="Officer",type=string,JSONPath=`.status.officer.id`
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.status.request.revision`
// +kubebuilder:printcolumn:name="Verified",type=string,JSONPath=`.status.conditions[?(@.type=="Verified")].reason`
// +kubebuilder:printcolumn:name="Counted",type=string,JSONPath=`.status.conditions[?(@.type=="Counted")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type ProcedureSignature struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is one officer's signature over one request. It cannot be changed.
	// +required
	Spec ProcedureSignatureSpec `json:"spec,omitzero"`

	// status is what the operator says of the signature.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ProcedureSignatureStatus `json:"status,omitzero"`
}

// ProcedureSignatureList is a list of ProcedureSignature.
//
// +kubebuilder:object:root=true
type ProcedureSignatureList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProcedureSignature `json:"items"`
}
