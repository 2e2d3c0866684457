package plugin

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

func (s *session) sayTable(statuses []ProcedureStatus, namespaces bool) {
	style := terminal.StyleFor(s.Out)
	var table terminal.Table
	head := []any{"NAME", "PROCEDURE", "REVISION", "AT HOST", "SIGNED", "READY", "REASON", "WARNINGS", "NEXT"}
	if namespaces {
		head = append([]any{"NAMESPACE"}, head...)
	}
	table.Row(head...)
	for i := range statuses {
		status := &statuses[i]
		ready := status.ready()
		row := []any{status.Name, status.Procedure, orDash(status.Revision), hostState(status.Host), status.signedCount(),
			gateStyle(style, ready), ready.Reason, orDash(int64(len(status.Warnings))), inShort(status.Next)}
		if namespaces {
			row = append([]any{status.Namespace}, row...)
		}
		table.Row(row...)
	}
	table.Write(s.Out, "")
}

// inShort leaves the command out of a next step: a table is for many procedures, the tree of one has room.
func inShort(next string) string {
	step, _, _ := strings.Cut(next, ": kubectl ")
	return step
}

func orDash(number int64) string {
	if number == 0 {
		return "-"
	}
	return decimal(number)
}

func hostState(copied *HostCopy) string {
	if copied == nil {
		return "-"
	}
	return fmt.Sprintf("%s r%d", copied.State, copied.Revision)
}

// gateStyle shows whether a gate holds.
func gateStyle(style terminal.Style, gate Gate) terminal.Text {
	switch {
	case gate.Status == string(metav1.ConditionTrue):
		return style.Good(gate.Status)
	case gate.Reason == "AwaitingSignatures" || gate.Reason == "Draft" || gate.Status == string(metav1.ConditionUnknown):
		return style.Waiting(gate.Status)
	default:
		return style.Bad(gate.Status)
	}
}

// branch is one line of a tree with what hangs below it.
type branch struct {
	text     terminal.Text
	branches []branch
}

func (s *session) sayTree(status *ProcedureStatus) {
	style := terminal.StyleFor(s.Out)
	s.say("%s  %s\n", style.Strong(status.Namespace+"/"+status.Name), title(status))
	gates := make([]branch, 0, len(status.Gates)+4)
	said := map[string]bool{}
	for _, gate := range status.Gates {
		words := gate.Reason
		if gate.Message != "" && !said[gate.Message] {
			words += ": " + gate.Message
		}
		said[gate.Message] = true
		padding := strings.Repeat(" ", len("Unknown")-min(len(gate.Status), len("Unknown")))
		below := branch{text: clean("%-9s  %s%s  %s", gate.Type, gateStyle(style, gate), padding, words)}
		if gate.Type == "Signed" {
			below.branches = signatureBranches(status)
		}
		gates = append(gates, below)
	}
	gates = append(gates, branch{text: clean("At host    %s", atHost(status.Host))})
	if len(status.Warnings) > 0 {
		warnings := branch{text: style.Waiting("Warnings")}
		for _, warning := range status.Warnings {
			warnings.branches = append(warnings.branches, branch{text: clean("%s: %s", warning.Reason, warning.Message)})
		}
		gates = append(gates, warnings)
	}
	gates = append(gates, branch{text: clean("%s       %s", style.Strong("Next"), status.Next)})
	s.sayBranches(gates, "")
}

func clean(format string, arguments ...any) terminal.Text {
	var line strings.Builder
	terminal.Printf(&line, format, arguments...)
	return terminal.Text(line.String())
}

func title(status *ProcedureStatus) string {
	line := fmt.Sprintf("%q on CM host %s", status.Procedure, status.CMHost)
	if status.Revision > 0 {
		line += fmt.Sprintf(", revision %d", status.Revision)
	}
	if status.Deleting {
		line += ", being deleted"
	}
	return line
}

func signatureBranches(status *ProcedureStatus) []branch {
	var below []branch
	for _, signature := range status.Signatures {
		below = append(below, branch{text: clean("signed by %s (%s) %s", signature.Officer.ID, signature.Officer.Subject, timestamp(signature.SignedAt))})
	}
	if status.Request != nil {
		below = append(below, branch{text: clean("the request: revision %d, %s", status.Request.Revision, status.Request.Digest)})
	}
	for _, officer := range status.CouldSign {
		below = append(below, branch{text: clean("could sign: %s (%s)", officer.ID, officer.Subject)})
	}
	for _, ahead := range status.Ahead {
		ids := make([]string, len(ahead.Officers))
		for i, officer := range ahead.Officers {
			ids[i] = officer.ID
		}
		below = append(below, branch{text: clean("ahead: revision %d, %s, signed by %s", ahead.Revision, ahead.State, strings.Join(ids, ", "))})
	}
	if status.CouldSignUnknown != "" {
		below = append(below, branch{text: clean("who could sign is not known here: %s", status.CouldSignUnknown)})
	}
	return below
}

func atHost(copied *HostCopy) string {
	if copied == nil {
		return "not there"
	}
	if copied.Revision == 0 {
		return copied.State + ", made elsewhere, without evidence"
	}
	return fmt.Sprintf("%s, revision %d, accepted %s", copied.State, copied.Revision, timestamp(copied.AcceptedAt))
}

func (s *session) sayBranches(branches []branch, indent string) {
	for i, one := range branches {
		joint, below := "├─ ", "│  "
		if i == len(branches)-1 {
			joint, below = "└─ ", "   "
		}
		s.say("%s%s%s\n", terminal.Text(indent), terminal.Text(joint), one.text)
		s.sayBranches(one.branches, indent+below)
	}
}
