package v1alpha1

// Names that are part of the interface beside the kinds.
const (
	// FinalizerClose is on a TokenProcedure with the deletion policy Close, and on the CMHost that such an object needs.
	FinalizerClose = "cm.tokenprocedures.dev/close"
	// AnnotationAcceptLogHead on a CMHost holds the log head of a restored host that a person accepts.
	AnnotationAcceptLogHead = "cm.tokenprocedures.dev/accept-log-head"
)

// Condition types. Ready is on all three kinds, as are Reconciling and Stalled in kstatus' meaning: present only while
// True, never both.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"

	// ConditionValidated on a TokenProcedure: every rule that needs no signature holds.
	ConditionValidated = "Validated"
	// ConditionSigned on a TokenProcedure: two different officers have signed exactly this request.
	ConditionSigned = "Signed"
	// ConditionSynced on a TokenProcedure: the CM host has exactly this request.
	ConditionSynced = "Synced"
	// ConditionActive on a TokenProcedure: the CM host has the procedure, and there it is Active.
	ConditionActive = "Active"
	// ConditionClosed on a TokenProcedure: the CM host has the procedure, and there it is Closed.
	ConditionClosed = "Closed"

	// ConditionVerified on a ProcedureSignature: an officer who may sign made it, over a well-formed request for this
	// procedure and audience.
	ConditionVerified = "Verified"
	// ConditionCounted on a ProcedureSignature: it covers the request to be signed now or the one that the host took last.
	ConditionCounted = "Counted"
)

// Reasons of a TokenProcedure's conditions.
const (
	ReasonRulesSatisfied               = "RulesSatisfied"
	ReasonDraft                        = "Draft"
	ReasonInvalid                      = "Invalid"
	ReasonUnknownReference             = "UnknownReference"
	ReasonClosedReference              = "ClosedReference"
	ReasonNotVisibleInDomain           = "NotVisibleInDomain"
	ReasonCertificateProcedureRequired = "CertificateProcedureRequired"
	ReasonStorageProfileNotOffered     = "StorageProfileNotOffered"

	ReasonTwoOfficersSigned  = "TwoOfficersSigned"
	ReasonNotValidated       = "NotValidated"
	ReasonNotSubmittable     = "NotSubmittable"
	ReasonAwaitingSignatures = "AwaitingSignatures"

	ReasonUpToDate      = "UpToDate"
	ReasonNameConflict  = "NameConflict"
	ReasonStaleRevision = "StaleRevision"
	ReasonDrifted       = "Drifted"
	ReasonRefusedByHost = "RefusedByHost"

	ReasonActiveAtHost = "ActiveAtHost"
	ReasonClosedAtHost = "ClosedAtHost"
	ReasonNotAtHost    = "NotAtHost"

	ReasonClosing = "Closing"
)

// Reasons of a TokenProcedure's warnings, which refuse nothing.
const (
	// ReasonShadowedCertificateProcedure: a certificate procedure can never be chosen, because an earlier one in the list
	// matches whatever it matches.
	ReasonShadowedCertificateProcedure = "ShadowedCertificateProcedure"
	// ReasonSeveralRecoveries: a smart card procedure has several recovery key procedures, so that none is carried out
	// unless one is picked at issuing time.
	ReasonSeveralRecoveries = "SeveralRecoveries"
	// ReasonOverlappingSerialRange: the card serial number range shares numbers with another Active procedure's.
	ReasonOverlappingSerialRange = "OverlappingSerialRange"
	// ReasonReferenceClosed: something that the procedure refers to was closed after the CM host had accepted it.
	ReasonReferenceClosed = "ReferenceClosed"
)

// Reasons that TokenProcedure and ProcedureSignature share.
const (
	ReasonCMHostNotFound  = "CMHostNotFound"
	ReasonHostUnavailable = "HostUnavailable"
)

// Reasons of a ProcedureSignature's conditions.
const (
	ReasonOfficerSignature       = "OfficerSignature"
	ReasonRecordedByHost         = "RecordedByHost"
	ReasonMalformed              = "Malformed"
	ReasonWeakAlgorithm          = "WeakAlgorithm"
	ReasonUnknownSigner          = "UnknownSigner"
	ReasonBadSignature           = "BadSignature"
	ReasonOfficerClosed          = "OfficerClosed"
	ReasonCertificateExpired     = "CertificateExpired"
	ReasonCertificateNotYetValid = "CertificateNotYetValid"
	ReasonMissingRole            = "MissingRole"
	ReasonOutsideDomain          = "OutsideDomain"
	ReasonSignatureExpired       = "SignatureExpired"
	ReasonSigningTimeInFuture    = "SigningTimeInFuture"
	ReasonOtherProcedure         = "OtherProcedure"
	ReasonOtherHost              = "OtherHost"
	ReasonProcedureNotFound      = "ProcedureNotFound"

	ReasonCounted        = "Counted"
	ReasonNotVerified    = "NotVerified"
	ReasonSuperseded     = "Superseded"
	ReasonRevisionAhead  = "RevisionAhead"
	ReasonContentDiffers = "ContentDiffers"
	ReasonSameOfficer    = "SameOfficer"
)

// Reasons of a CMHost's conditions.
const (
	ReasonConnected        = "Connected"
	ReasonSecretNotFound   = "SecretNotFound"
	ReasonSecretInvalid    = "SecretInvalid"
	ReasonAudienceMismatch = "AudienceMismatch"
	ReasonUnreachable      = "Unreachable"
	ReasonTLSRefused       = "TLSRefused"
	ReasonNotPermitted     = "NotPermitted"
	ReasonHistoryRewound   = "HistoryRewound"
)

// Roles that an officer needs, both of them, verbatim.
const (
	RoleUseAWB      = "Use AWB"
	RolePolicyTasks = "Policy tasks"
)
