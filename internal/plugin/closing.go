package plugin

import (
	"fmt"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// maxRevisionStep is how far above its own revision the host accepts one.
const maxRevisionStep = 10_000

// closingRequest is the request that closes what the host has: its content with state Closed, one revision above the
// higher of the manifest's and the host's.
func closingRequest(from *source, host baseline) (request.Request, error) {
	switch {
	case host.copy == nil && host.unknown == "" && host.procedure == nil:
		return request.Request{}, fmt.Errorf("%s: the CM host has no such procedure, so there is nothing to close: deleting the object takes it away at once", from.where)
	case host.copy == nil:
		return request.Request{}, usagef("%s: the closing request is made of what the CM host has, so the host must be asked: let it be reached through the cluster, or name it with --host", from.where)
	case host.procedure.State == request.Closed:
		return request.Request{}, fmt.Errorf("%s: the CM host has the procedure as Closed already: there is nothing to sign", from.where)
	}
	revision := host.revision
	if own := from.procedure.Spec.Revision; own != nil && *own > revision {
		revision = *own
	}
	revision++
	if revision > host.revision+maxRevisionStep {
		return request.Request{}, fmt.Errorf("%s: revision %d is more than %d above the host's %d, which the host refuses: set deletionPolicy Retain, delete the object and apply it with a lower revision", from.where, revision, maxRevisionStep, host.revision)
	}
	closed := *host.procedure
	closed.State = request.Closed
	return request.New(from.audience, revision, closed), nil
}
