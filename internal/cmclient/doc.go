// Package cmclient is the live connection to a CM host: it knows at any time who may sign, what may be referred to and
// which revision of each procedure the host holds, without asking for each of them.
//
// A Connection reads everything once, then follows the host's change feed with one long poll, and tells its owner which
// procedures, officers and catalogue objects a change concerns. Reads are from memory; the few calls that go to the host
// (Put, Content, History) have bounded time and size. What fails is either a *Failure (the host cannot be used now: try
// again) or a *Refusal (the host has decided: somebody must act).
//
// The host may be anybody's, since a tenant can write a CMHost: no redirects are followed, no proxy is taken from the
// environment, no answer above 4 MiB is read, and of a refusal only the problem's type and 256 cleaned characters are kept.
//
// The package may import the generated interface, internal/request, internal/rules, internal/signing and internal/domains,
// and the condition reasons of api/v1alpha1. It must not know Kubernetes clients, custom resources or controllers.
package cmclient
