package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretReference names a Secret in the same namespace.
type SecretReference struct {
	// name is the name of a Secret in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="name must be one that a Secret can have: lower-case letters, digits, - and ., beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`
}

// CMHostSpec says where a CM host is and how to speak to it.
type CMHostSpec struct {
	// url is where the interface of the CM host is: https, a host and an optional
	// port, and nothing else. The operator speaks TLS 1.3 with the client
	// certificate of `tlsSecretRef`, follows no redirects and uses no proxy. It
	// can change at any time, as long as what answers there has the same audience.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^https://([A-Za-z0-9.-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]*)?$')",message="url must be https with a host and an optional port and nothing else, no path and no user, for example https://cm.example.com:8443"
	// +kubebuilder:validation:XValidation:rule="!self.matches(':(0[0-9]*|[0-9]{6,}|[7-9][0-9]{4}|6[6-9][0-9]{3}|65[6-9][0-9]{2}|655[4-9][0-9]|6553[6-9])?$')",message="the port in url must be 1 to 65535, without leading zeros"
	URL string `json:"url,omitempty"`

	// audience is the name that the CM host gives itself, 1 to 253 letters, digits
	// and . _ : -. It is part of every signed request, so that a signature for a
	// test host is worth nothing in production. Where the host says another name
	// the condition Ready says AudienceMismatch, and nothing is submitted. It
	// cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$')",message="audience must begin and end with a letter or digit, with letters, digits and . _ : - between: set it to what the CM host says of itself"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",reason=FieldValueForbidden,message="audience cannot be changed: signatures are made for it; create another CMHost"
	Audience string `json:"audience,omitempty"`

	// tlsSecretRef names a Secret of type kubernetes.io/tls in the same namespace:
	// `tls.crt` and `tls.key` are the operator's client certificate and its key,
	// `ca.crt` is the CA of the CM host's certificate. A change of the Secret is
	// picked up without a restart. Without it, or with a Secret that cannot be
	// used, Ready says SecretNotFound or SecretInvalid.
	// +required
	TLSSecretRef SecretReference `json:"tlsSecretRef,omitzero"`
}

// LogStatus is the head of the CM host's log as it was seen last.
type LogStatus struct {
	// length is the number of entries in the log.
	// +optional
	Length *int64 `json:"length,omitempty"`

	// head is the hash of the last entry, empty when the log is.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Head string `json:"head,omitempty"`
}

// CMHostStatus is what the operator knows of a CM host. It is output only, the
// log excepted, which is remembered to notice a host that was restored from a
// backup.
type CMHostStatus struct {
	// observedGeneration is the generation that this status was made for; -1
	// before the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, and while they are true Reconciling or Stalled. Ready
	// is True (Connected) while the CM host answers as the one that is named here;
	// otherwise its reason and message say what to do, and the procedures of this
	// host wait.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// productVersion is the product and version that the host says of itself.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ProductVersion string `json:"productVersion,omitempty"`

	// officers is the number of officers in the host's register.
	// +optional
	Officers *int32 `json:"officers,omitempty"`

	// catalogObjects is the number of objects in the host's catalogue.
	// +optional
	CatalogObjects *int32 `json:"catalogObjects,omitempty"`

	// lastContactTime is when the host last answered, written at most every five
	// minutes.
	// +optional
	LastContactTime *metav1.Time `json:"lastContactTime,omitempty"`

	// log is the head of the CM host's log as it was seen last. It is how a host
	// is noticed that was restored from a backup: where its log is shorter, or
	// differs, Ready says HistoryRewound and nothing is submitted until a person
	// accepts the new head with the annotation
	// cm.tokenprocedures.dev/accept-log-head.
	// +optional
	Log *LogStatus `json:"log,omitempty"`
}

// CMHost is a connection to a CM host, the server of a certificate manager.
//
// +genclient
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cmh,categories=tokenproc,scope=Namespaced
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="Audience",type=string,JSONPath=`.spec.audience`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.productVersion`,priority=1
// +kubebuilder:printcolumn:name="Last contact",type=date,JSONPath=`.status.lastContactTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type CMHost struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says where the CM host is and how to speak to it.
	// +required
	Spec CMHostSpec `json:"spec,omitzero"`

	// status is what the operator knows of the CM host.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status CMHostStatus `json:"status,omitzero"`
}

// CMHostList is a list of CMHost.
//
// +kubebuilder:object:root=true
type CMHostList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CMHost `json:"items"`
}
