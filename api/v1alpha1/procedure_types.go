package v1alpha1

// ProcedureState is the state of a token procedure on the CM host.
// +kubebuilder:validation:Enum="";Active;Closed
type ProcedureState string

const (
	// StateActive means that tokens can be issued with the procedure.
	StateActive ProcedureState = "Active"
	// StateClosed means that the procedure is kept, but no longer used. Nothing
	// signed is ever deleted from a CM host.
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
	// StorageProfilePKCS10 issues certificates for PKCS#10 requests, whose key the
	// requester holds.
	StorageProfilePKCS10 StorageProfile = "PKCS10"
	// StorageProfileAttributeCertificateFile issues attribute certificate files.
	StorageProfileAttributeCertificateFile StorageProfile = "AttributeCertificateFile"
	// StorageProfileData issues plain data.
	StorageProfileData StorageProfile = "Data"
)

// IssuerCertificatePolicy says which certificates of the CA chain go onto the
// token.
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

// RecoveredCertificatePolicy says whether the CAs of recovered certificates go
// onto the token.
// +kubebuilder:validation:Enum="";Store;DoNotStore
type RecoveredCertificatePolicy string

const (
	// RecoveredStore stores the CAs of recovered certificates.
	RecoveredStore RecoveredCertificatePolicy = "Store"
	// RecoveredDoNotStore leaves the CAs of recovered certificates out.
	RecoveredDoNotStore RecoveredCertificatePolicy = "DoNotStore"
)

// Name is the name of an object on the CM host: the procedure itself, or
// something that it refers to. It begins with a letter or digit, goes on with
// letters, digits, spaces and . _ , : + & ( ) ' - and ends with a letter,
// digit, full stop or closing parenthesis: 1 to 128 characters in Unicode
// normalisation form C. An empty name counts as absent.
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches("^[\\p{L}\\p{N}]([\\p{L}\\p{N} ._,:+&()'-]{0,126}[\\p{L}\\p{N}.)])?$") && !self.contains(".."))`,message="a name must begin with a letter or digit, go on with letters, digits, spaces and . _ , : + & ( ) ' - and end with a letter, digit, full stop or closing parenthesis, without two full stops in a row: correct it to the name that the CM host shows"
type Name string

// ListedName is a Name that cannot be empty.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches("^[\\p{L}\\p{N}]([\\p{L}\\p{N} ._,:+&()'-]{0,126}[\\p{L}\\p{N}.)])?$") && !self.contains(".."))`,message="a name must begin with a letter or digit, go on with letters, digits, spaces and . _ , : + & ( ) ' - and end with a letter, digit, full stop or closing parenthesis, without two full stops in a row: correct it to the name that the CM host shows"
type ListedName string

// SerialNumber is a card serial number in decimal, 1 to 20 digits without
// leading zeros, written as a string because JSON programs do not keep numbers
// of that size. Empty counts as absent.
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self.matches('^(0|[1-9][0-9]{0,19})?$')",message="a card serial number must be 1 to 20 decimal digits without leading zeros: write it in quotes, for example \"100000\""
type SerialNumber string

// SerialNumberRange is a range of card serial numbers, both ends included.
// +kubebuilder:validation:XValidation:rule="!has(self.from) || !has(self.to) || !self.from.matches('^(0|[1-9][0-9]*)$') || !self.to.matches('^(0|[1-9][0-9]*)$') || size(self.from) < size(self.to) || (size(self.from) == size(self.to) && self.from <= self.to)",fieldPath=".to",messageExpression="'range.to is ' + self.to + ', below range.from, which is ' + self.from + ': a range goes from the lower to the higher number'"
type SerialNumberRange struct {
	// from is the first card serial number of the range: 1 to 20 decimal digits
	// without leading zeros, in quotes. It is required while `enabled` is true,
	// and at most `to`; both are compared as numbers.
	// +optional
	From SerialNumber `json:"from,omitempty"`

	// to is the last card serial number of the range, itself included: 1 to 20
	// decimal digits without leading zeros, in quotes. It is required while
	// `enabled` is true, and at least `from`; both are compared as numbers.
	// +optional
	To SerialNumber `json:"to,omitempty"`
}

// CardSerialNumber says whether cards carry a serial number, and from which
// range.
type CardSerialNumber struct {
	// enabled says whether cards get a serial number. Storage profile SmartCard
	// requires saying either; `false` is an answer here and does not count as
	// absent. With `true` a range is required, with `false` it must be absent.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// range is what serial numbers of cards are taken from, both ends included. It
	// is there if and only if `enabled` is true. Overlapping the range of another
	// Active procedure is allowed and shows as a warning in the status.
	// +optional
	Range *SerialNumberRange `json:"range,omitempty"`
}

// IssuerCertificates says what of the CA chain goes onto the token.
type IssuerCertificates struct {
	// policy says which certificates of the CA chain are stored on the token:
	// StoreAll those of the whole chain, StoreRoot that of the root CA only,
	// StoreIssuingCA that of the issuing CA only, StoreNone none. Storage profiles
	// SmartCard and PKCS12 require it.
	// +optional
	Policy IssuerCertificatePolicy `json:"policy,omitempty"`

	// recoveredCertificates says whether the certificates of the CAs of recovered
	// certificates go onto the token as well, where these come from another CA
	// than those of the certificate procedures: Store or DoNotStore. It is
	// required with the policies StoreAll, StoreRoot and StoreIssuingCA, and must
	// be absent with StoreNone.
	// +optional
	RecoveredCertificates RecoveredCertificatePolicy `json:"recoveredCertificates,omitempty"`
}

// Procedure is a token procedure: exactly what officers sign and what the CM
// host stores. Empty lists, objects and strings, and `false` (but for
// `cardSerialNumber.enabled`), count as absent, here as in the signed request.
//
// Names begin with a letter or digit, go on with letters, digits, spaces and .
// _ , : + & ( ) ' - and end with a letter, digit, full stop or closing
// parenthesis. They have 1 to 128 characters, are in Unicode normalisation
// form C and are compared exactly.
//
// The storage profile decides which fields there are: R is required, O
// optional, - must be absent.
//
//	                                 SmartCard  PKCS12  PKCS10  AttributeCertificateFile  Data
//	cardSerialNumber                     R        -       -                -               -
//	pinProcedure                         R        R       -                -               -
//	keyProcedures                        O        O       -                -               -
//	issuerCertificates                   R        R       O                -               -
//	attributeCertificateProcedures       O        O       -                R               -
//	certificateProcedures                R *      R *     R                -               R
//	inputView                            O        O       O                O               O
//
// * unless every key procedure is a recovery that reuses the certificate, and there is at least one.
type Procedure struct {
	// name is the name of the procedure on the CM host, shown there under "Token
	// procedures". Like every name here it begins with a letter or digit, goes on
	// with letters, digits, spaces and . _ , : + & ( ) ' - and ends with a letter,
	// digit, full stop or closing parenthesis: 1 to 128 characters in Unicode
	// normalisation form C, compared exactly. It is required even in a draft, and
	// cannot be changed once the object is not a draft any more. Where several
	// objects for one CM host have the same name, one of them keeps it; the others
	// say NameConflict and neither submit nor close.
	// +required
	Name ListedName `json:"name,omitempty"`

	// state is Active, and tokens can be issued with the procedure, or Closed, and
	// the procedure is kept but no longer used: nothing signed is ever deleted
	// from a CM host. It is required unless this is a draft. Changing it is a
	// change like any other, with a higher revision and two signatures. A Closed
	// procedure may refer to what is Closed, so that a procedure can always be
	// closed; setting it Active again meets every rule again.
	// +optional
	State ProcedureState `json:"state,omitempty"`

	// domain is the domain that the procedure belongs to, by its name on the CM
	// host; none means Root. Officers who may sign work in this domain or one
	// above it, and in the domain that the procedure moves away from. What the
	// procedure refers to must be usable from here: it has no domain, belongs to
	// this one, or to one above and is visible in subdomains.
	// +optional
	Domain Name `json:"domain,omitempty"`

	// visibleInSubdomain makes the procedure usable from the domains below its
	// own. It needs a `domain`; what has none can be used from everywhere already.
	// +optional
	VisibleInSubdomain *bool `json:"visibleInSubdomain,omitempty"`

	// storageProfile is the kind of token that is issued, and decides which other
	// fields there are: SmartCard (a smart card), PKCS12 (a PKCS#12 file), PKCS10
	// (certificates for a PKCS#10 request, whose key the requester holds),
	// AttributeCertificateFile or Data. It is required unless this is a draft, and
	// the CM host must offer it.
	// +optional
	StorageProfile StorageProfile `json:"storageProfile,omitempty"`

	// cardSerialNumber says whether cards carry a serial number, and from which
	// range. It is required for the storage profile SmartCard and must be absent
	// for the others.
	// +optional
	CardSerialNumber *CardSerialNumber `json:"cardSerialNumber,omitempty"`

	// pinProcedure names the PIN procedure, the method by which the PIN reaches
	// the person. It is required for the storage profiles SmartCard and PKCS12 and
	// must be absent for the others. It must be Active on the CM host.
	// +optional
	PINProcedure Name `json:"pinProcedure,omitempty"`

	// keyProcedures name the key procedures that archive or recover keys: up to
	// 16, each once, Active on the CM host. They are optional for the storage
	// profiles SmartCard and PKCS12 and must be absent for the others. On smart
	// cards none of several recoveries is carried out unless one is picked at
	// issuing time; the status warns of that.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.indexOf(x) == self.lastIndexOf(x))",messageExpression="'keyProcedures[%d] is the same as keyProcedures[%d]: name each once'.format([self.lastIndexOf(self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0]), self.indexOf(self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0])])"
	KeyProcedures []ListedName `json:"keyProcedures,omitzero"`

	// issuerCertificates says what of the CA chain goes onto the token beside the
	// person's own certificates. It is required for the storage profiles SmartCard
	// and PKCS12, optional for PKCS10 and must be absent for the others.
	// +optional
	IssuerCertificates *IssuerCertificates `json:"issuerCertificates,omitempty"`

	// attributeCertificateProcedures name the attribute certificates that are
	// issued along: up to 16, each once, Active on the CM host. At least one is
	// required for the storage profile AttributeCertificateFile; they are optional
	// for SmartCard and PKCS12 and must be absent for the others.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.indexOf(x) == self.lastIndexOf(x))",messageExpression="'attributeCertificateProcedures[%d] is the same as attributeCertificateProcedures[%d]: name each once'.format([self.lastIndexOf(self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0]), self.indexOf(self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0])])"
	AttributeCertificateProcedures []ListedName `json:"attributeCertificateProcedures,omitzero"`

	// certificateProcedures name the certificate procedures in order: up to 16,
	// each once, Active on the CM host. Each key gets the first one where the
	// request for its certificate names no key usage, otherwise the first whose
	// key usages contain all those of the request; one with no key usage set, or
	// with all of them, matches every request. One that can never be chosen is
	// shadowed, and the status warns of it. They are required for the storage
	// profiles PKCS10 and Data, and for SmartCard and PKCS12 unless every key
	// procedure is a recovery that reuses the certificate; they must be absent for
	// AttributeCertificateFile.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(x, self.indexOf(x) == self.lastIndexOf(x))",messageExpression="'certificateProcedures[%d] is the same as certificateProcedures[%d]: name each once'.format([self.lastIndexOf(self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0]), self.indexOf(self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0])])"
	CertificateProcedures []ListedName `json:"certificateProcedures,omitzero"`

	// inputView names the view that registration officers see when they issue such
	// a token, which shows only the fields that matter; none means the default
	// view. It is optional for all storage profiles. It must be Active on the CM
	// host.
	// +optional
	InputView Name `json:"inputView,omitempty"`
}
