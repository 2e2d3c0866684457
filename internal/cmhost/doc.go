// Package cmhost is the reference CM host: proof that the interface in api/cmhost/v1 can be implemented, and the host that
// the local stack and the tests run against.
//
// Its rooms, from the inside out:
//
//	chain      the log's hash chain, pure
//	admission  whether a submitted request is accepted, pure
//	store      the database: SQLite or PostgreSQL, the log and what is derived from it
//	load       the host administrator's register, catalogue and procedures made elsewhere
//	audit      checking a log without trusting the host
//	server     the interface over mutual TLS: roles, limits, problems, metrics
//	hosttest   a host inside a test
//
// None of them knows Kubernetes.
package cmhost
