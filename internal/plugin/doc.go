// Package plugin is `kubectl tokenproc`: what administration officers and platform teams reach for. One file holds one
// command; what several share is in session.go (cluster), sources.go (which procedures), host.go (the CM host) and
// output.go (text, JSON, YAML).
//
// Commands only show and prepare: what decides is in internal/rules, internal/request and internal/signing, which operator
// and host use as well. What an officer signs is shown as parsed from the very bytes, never from a status. All text from
// outside goes through internal/plugin/terminal.
package plugin
