package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProcedureState is the state of a token procedure on the CM host.
// +kubebuilder:validation:Enum="";Active;Closed
type ProcedureState string

const (
	// StateActive means that tokens can be issued with the procedure.
	StateActive ProcedureState = "Active"
	// StateClosed means that the procedure is kept, but no longer used. Nothing signed is ever deleted from a CM host.
	StateClosed ProcedureState = "Closed"
)

// StorageProfile is the kind of token that a procedure issues.
// +kubebuilder:validation:Enum="";SmartCard;PKCS12;PKCS10;AttributeCertificateFile;Data
type StorageProfile string

const (
	// StorageProfileSmartCard issues smart cards.
	StorageProfileSmartCard StorageProfile = "SmartCard"
	// StorageProfilePKCS12 issues PKCS#12 files.
	StorageProfilePKCS12 StorageProfile = "PKCS12"
	// StorageProfilePKCS10 issues certificates for PKCS#10 requests, whose key the requester holds.
	StorageProfilePKCS10 StorageProfile = "PKCS10"
	// StorageProfileAttributeCertificateFile issues attribute certificate files.
	StorageProfileAttributeCertificateFile StorageProfile = "AttributeCertificateFile"
	// StorageProfileData issues plain data.
	StorageProfileData StorageProfile = "Data"
)

// DeletionPolicy says what deleting a TokenProcedure does to the procedure on the CM host.
// +kubebuilder:validation:Enum="";Retain;Close
type DeletionPolicy string

const (
	// DeletionPolicyRetain leaves the CM host alone.
	DeletionPolicyRetain DeletionPolicy = "Retain"
	// DeletionPolicyClose keeps the object until two officers have signed the closing request and the CM host has closed the procedure.
	DeletionPolicyClose DeletionPolicy = "Close"
)

// IssuerCertificatePolicy says which certificates of the CA chain go onto the token.
// +kubebuilder:validation:Enum="";StoreAll;StoreNone;StoreRoot;StoreIssuingCA
type IssuerCertificatePolicy string

const (
	// StoreAll stores the certificates of the whole CA chain.
	StoreAll IssuerCertificatePolicy = "StoreAll"
	// StoreNone stores no issuer certificate.
	StoreNone IssuerCertificatePolicy = "StoreNone"
	// StoreRoot stores the certificate of the root CA only.
	StoreRoot IssuerCertificatePolicy = "StoreRoot"
	// StoreIssuingCA stores the certificate of the issuing CA only.
	StoreIssuingCA IssuerCertificatePolicy = "StoreIssuingCA"
)

// RecoveredCertificatePolicy says whether the CAs of recovered certificates go onto the token.
// +kubebuilder:validation:Enum="";Store;DoNotStore
type RecoveredCertificatePolicy string

const (
	// RecoveredStore stores the CAs of recovered certificates.
	RecoveredStore RecoveredCertificatePolicy = "Store"
	// RecoveredDoNotStore leaves the CAs of recovered certificates out.
	RecoveredDoNotStore RecoveredCertificatePolicy = "DoNotStore"
)

// Name is the name of an object on the CM host: the procedure itself, or something that it refers to. It begins with a
// letter or digit, goes on with letters, digits, spaces and . _ , : + & ( ) ' - and ends with a letter, digit, full stop
// or closing parenthesis: 1 to 128 characters in Unicode normalisation form C. An empty name counts as absent.
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches("^[\\p{L}\\p{N}]([\\p{L}\\p{N} ._,:+&()'-]{0,126}[\\p{L}\\p{N}.)])?$")`,message="a name must begin with a letter or digit, go on with letters, digits, spaces and . _ , : + & ( ) ' - and end with a letter, digit, full stop or closing parenthesis: correct it to the name that the CM host shows"
type Name string

// ListedName is a Name that cannot be empty.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches("^[\\p{L}\\p{N}]([\\p{L}\\p{N} ._,:+&()'-]{0,126}[\\p{L}\\p{N}.)])?$")`,message="a name must begin with a letter or digit, go on with letters, digits, spaces and . _ , : + & ( ) ' - and end with a letter, digit, full stop or closing parenthesis: correct it to the name that the CM host shows"
type ListedName string

// SerialNumber is a card serial number in decimal, 1 to 20 digits without leading zeros, written as a string because
// JSON programs do not keep numbers of that size. Empty counts as absent.
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self.matches('^(0|[1-9][0-9]{0,19})?$')",message="a card serial number must be 1 to 20 decimal digits without leading zeros: write it in quotes, for example \"100000\""
type SerialNumber string

// CMHostReference names a CMHost in the same namespace.
type CMHostReference struct {
	// name is the name of a CMHost in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// SerialNumberRange is a range of card serial numbers, both ends included.
// +kubebuilder:validation:XValidation:rule="!has(self.from) || !has(self.to) || !self.from.matches('^[0-9]+$') || !self.to.matches('^[0-9]+$') || size(self.from) < size(self.to) || (size(self.from) == size(self.to) && self.from <= self.to)",fieldPath=".to",messageExpression="'range.to is ' + self.to + ', below range.from, which is ' + self.from + ': a range goes from the lower to the higher number'"
type SerialNumberRange struct {
	// from is the first card serial number of the range, in decimal, 1 to 20 digits without leading zeros.
	// +optional
	From SerialNumber `json:"from,omitempty"`

	// to is the last card serial number of the range, in decimal, 1 to 20 digits without leading zeros. It is at least `from`.
	// +optional
	To SerialNumber `json:"to,omitempty"`
}

// CardSerialNumber says whether cards carry a serial number, and from which range.
type CardSerialNumber struct {
	// enabled says whether a card serial number is used. Saying either is mandatory for a smart card.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// range is the range that card serial numbers are taken from. It is there if and only if `enabled` is true.
	// +optional
	Range *SerialNumberRange `json:"range,omitempty"`
}

// IssuerCertificates says what of the CA chain goes onto the token.
type IssuerCertificates struct {
	// policy says which certificates of the CA chain are stored on the token.
	// +optional
	Policy IssuerCertificatePolicy `json:"policy,omitempty"`

	// recoveredCertificates says whether the CAs of recovered certificates are stored as well, where a recovered
	// certificate comes from another CA than those of the certificate procedures. It is absent exactly with the policy StoreNone.
	// +optional
	RecoveredCertificates RecoveredCertificatePolicy `json:"recoveredCertificates,omitempty"`
}

// Procedure is a token procedure: exactly what officers sign and what the CM host stores.
// `[]`, `{}`, `""` and `false` (but for `cardSerialNumber.enabled`) count as absent.
type Procedure struct {
	// name is the name of the procedure on the CM host, shown there under "Token procedures".
	// It cannot be changed once the object is not a draft any more.
	// +required
	Name ListedName `json:"name,omitempty"`

	// state is Active or Closed.
	// +optional
	State ProcedureState `json:"state,omitempty"`

	// domain is the domain that the procedure belongs to. None means Root.
	// +optional
	Domain Name `json:"domain,omitempty"`

	// visibleInSubdomain makes the procedure usable from the domains below its own. It needs a domain.
	// +optional
	VisibleInSubdomain *bool `json:"visibleInSubdomain,omitempty"`

	// storageProfile is the kind of token that is issued; it decides which other fields there are.
	// +optional
	StorageProfile StorageProfile `json:"storageProfile,omitempty"`

	// cardSerialNumber says whether cards carry a serial number. It is required for SmartCard and absent otherwise.
	// +optional
	CardSerialNumber *CardSerialNumber `json:"cardSerialNumber,omitempty"`

	// pinProcedure is the PIN procedure: how the PIN reaches the person. It is required for SmartCard and PKCS12 and absent otherwise.
	// +optional
	PINProcedure Name `json:"pinProcedure,omitempty"`

	// keyProcedures are the key procedures for archiving or recovery. They are for SmartCard and PKCS12 only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.indexOf(x) == self.lastIndexOf(x))",message="keyProcedures names an entry more than once: name each once"
	KeyProcedures []ListedName `json:"keyProcedures,omitzero"`

	// issuerCertificates says what of the CA chain goes onto the token. It is required for SmartCard and PKCS12, optional for PKCS10 and absent otherwise.
	// +optional
	IssuerCertificates *IssuerCertificates `json:"issuerCertificates,omitempty"`

	// attributeCertificateProcedures are the attribute certificates to issue along. At least one is required for
	// AttributeCertificateFile; SmartCard and PKCS12 may have some; the others have none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.indexOf(x) == self.lastIndexOf(x))",message="attributeCertificateProcedures names an entry more than once: name each once"
	AttributeCertificateProcedures []ListedName `json:"attributeCertificateProcedures,omitzero"`

	// certificateProcedures are the certificate procedures in order: for each key the first that matches the key usages
	// of the request is used. They are required for PKCS10 and Data, and for SmartCard and PKCS12 unless every key procedure
	// is a recovery that reuses the certificate; AttributeCertificateFile has none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.indexOf(x) == self.lastIndexOf(x))",message="certificateProcedures names an entry more than once: name each once"
	CertificateProcedures []ListedName `json:"certificateProcedures,omitzero"`

	// inputView is the view that registration officers see when they issue such a token. None means the default view.
	// +optional
	InputView Name `json:"inputView,omitempty"`
}

// TokenProcedureSpec is a token procedure as it should be on the CM host, and how it gets there.
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
	// cmHostRef names the CMHost that the procedure is for. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",reason=FieldValueForbidden,message="cmHostRef cannot be changed: set it back; for another CM host create another object, and its request is signed anew"
	CMHostRef CMHostReference `json:"cmHostRef,omitzero"`

	// draft saves the procedure without submitting it: it may be incomplete, and it is never signed or submitted.
	// Absent or false submits it for signing, for good: there is no way back to a draft.
	// +optional
	Draft *bool `json:"draft,omitempty"`

	// deletionPolicy says what deleting this object does on the CM host: Retain, or none, leaves the host alone;
	// Close keeps the object until two officers have signed the closing request and the host has closed the procedure.
	// It can change at any time, without a new revision.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// revision numbers what officers sign, from 1 to 2^53-1. It is required unless this is a draft, never falls, and
	// rises whenever `procedure` changes, unless the object was a draft until then.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",messageExpression="'revision fell from %d to %d: a revision never falls; set it to %d, or higher where procedure changes'.format([oldSelf, self, oldSelf])"
	Revision *int64 `json:"revision,omitempty"`

	// procedure is exactly what officers sign and what the CM host stores.
	// +required
	Procedure Procedure `json:"procedure,omitzero"`
}

// SignableRequest identifies a request that officers sign.
type SignableRequest struct {
	// revision is the revision in the request.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// digest is the SHA-256 digest of the request's bytes, as `sha256:` and 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`
}

// SignatureStatus is one officer's signature over the request.
type SignatureStatus struct {
	// officerID is the officer's id in the CM host's register.
	// +required
	// +kubebuilder:validation:MaxLength=256
	OfficerID string `json:"officerID,omitempty"`

	// subject is the subject of the officer's certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject,omitempty"`

	// signatureName is the ProcedureSignature that holds the signature. It is absent where only the CM host holds it.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SignatureName string `json:"signatureName,omitempty"`

	// signedAt is the signing time inside the signature.
	// +optional
	SignedAt metav1.Time `json:"signedAt,omitzero"`
}

// HostProcedureStatus is what the CM host has under the procedure's name.
type HostProcedureStatus struct {
	// revision is the revision on the CM host; 0 for a procedure that was made elsewhere, without evidence.
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
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message says what was found.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// TokenProcedureStatus is what the operator and the CM host say of a procedure. It is output only: nothing that leads
// to a submission reads it.
type TokenProcedureStatus struct {
	// observedGeneration is the generation that this status was made for; -1 before the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Validated, Signed, Synced, Active and Closed, and while they are true Reconciling or Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// request is the request that officers must sign now. It is absent while nobody is asked to sign.
	// +optional
	Request *SignableRequest `json:"request,omitempty"`

	// signatures are the signatures over that request, one per officer, those that count first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Signatures []SignatureStatus `json:"signatures,omitempty"`

	// host is what the CM host has under this name now. It is absent while the host has nothing.
	// +optional
	Host *HostProcedureStatus `json:"host,omitempty"`

	// warnings are things worth knowing before anyone signs.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Warnings []Warning `json:"warnings,omitempty"`
}

// TokenProcedure is a token procedure of a certificate manager: the named set of parameters that is used whenever a
// token of that kind is issued. It takes effect on the CM host once two administration officers have signed it.
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
// +kubebuilder:printcolumn:name="Signatures",type=string,JSONPath=`.status.signatures[*].officerID`
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
