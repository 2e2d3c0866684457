// Package conformance checks that a CM host keeps the contract in api/cmhost/v1. Anyone can point it at their own gateway:
//
//	go test ./test/conformance -host https://cm.example.com:8443 -ca ca.crt \
//	    -cert client.crt -key client.key -reader-cert reader.crt -reader-key reader.key -officers DIRECTORY
//
// The directory holds the officers' certificates and keys, PEM: officer-1 and officer-2 in good standing without a domain
// are needed; officer-1b (officer-1's second certificate), officer-3 (a role is missing), officer-4 (Closed), officer-5
// (certificate expired), officer-6 (limited to a domain) and stranger (not registered) are used where they are there, and
// what could not be checked without them is said. The host gets token procedures whose names begin with "Conformance".
//
// Without -host the suite runs against the reference host, on SQLite and on PostgreSQL. Every answer is checked against
// the contract's schemas.
package conformance
