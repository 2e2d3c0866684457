// Package controllers reconciles CMHosts, ProcedureSignatures and TokenProcedures.
//
// The flow of a procedure is gather (reads only), decide (a pure function of the facts and the time), act (the one call
// that changes the host) and report (one server-side apply of the status). Read it in this order:
//
//	facts.go                       what a decision rests on
//	gather.go, judge.go            where the facts come from
//	standing.go                    how the object and the host's procedure stand to each other
//	decide.go, closing.go          the conditions and the next action
//	act.go, report.go, status.go   the effects
//	signature_decide.go            the conditions of a ProcedureSignature, from the same facts
//	*_controller.go, waker.go      what wakes what
//
// No state is kept outside the cluster and the host: memory only saves asking again. These are kept, all keyed so that
// what they rest on cannot change unseen:
//
//	the objects, slim (slim.go)    listed once, then watched; indexes answer who belongs to whom
//	verdicts (judge.go)            of each signature, by the register and all else that it was judged by
//	static checks (gather.go)      of each object's generation
//	refusals (refusals.go)         of exactly one submission, under one policy of the host
//	the host (internal/cmclient)   its register, catalogue, and one line for each of its procedures
//
// The operator is trusted with delivery, not with approval, so nothing here can make the host accept what two officers
// have not signed.
//
// The package may import everything under internal but cmhost. Only tests may know how a CM host is made.
package controllers
