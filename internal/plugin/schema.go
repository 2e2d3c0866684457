package plugin

import (
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

// document is what -o json and -o yaml print: every one names its version and kind.
type document interface{ stamp() }

// Header begins every document.
type Header struct {
	APIVersion string `json:"apiVersion" doc:"plugin.tokenprocedures.dev/v1; within a version members are only added"`
	Kind       string `json:"kind" doc:"the kind of document, as in the heading"`
}

func (h *Header) set(kind string) { h.APIVersion, h.Kind = OutputVersion, kind }

// DigestList is the output of digest.
type DigestList struct {
	Header
	Items []Digest `json:"items" doc:"one for each procedure, in the order of the command line or the files"`
}

func (l *DigestList) stamp() { l.set("DigestList") }

// Digest identifies the request of a procedure.
type Digest struct {
	Namespace string `json:"namespace,omitempty" doc:"of the TokenProcedure; absent where a file names none"`
	Name      string `json:"name" doc:"of the TokenProcedure"`
	Audience  string `json:"audience" doc:"of the CM host that the request is for"`
	Revision  int64  `json:"revision" doc:"in the request"`
	Digest    string `json:"digest" doc:"sha256: and 64 hexadecimal digits"`
}

// ProcedureStatusList is the output of status and of pending.
type ProcedureStatusList struct {
	Header
	Items []ProcedureStatus `json:"items" doc:"one for each TokenProcedure"`
}

func (l *ProcedureStatusList) stamp() { l.set("ProcedureStatusList") }

// ProcedureStatus is what the operator says of a procedure.
type ProcedureStatus struct {
	Namespace        string        `json:"namespace" doc:"of the TokenProcedure"`
	Name             string        `json:"name" doc:"of the TokenProcedure"`
	Procedure        string        `json:"procedure" doc:"name of the procedure on the CM host"`
	CMHost           string        `json:"cmHost" doc:"name of the CMHost"`
	Revision         int64         `json:"revision,omitempty" doc:"spec.revision; absent in a draft without one"`
	Deleting         bool          `json:"deleting,omitempty" doc:"the object is being deleted"`
	Gates            []Gate        `json:"gates" doc:"Validated, Signed, Synced, Ready, in this order"`
	Request          *RequestID    `json:"request,omitempty" doc:"the request that officers must sign now; absent while nobody is asked to"`
	Signatures       []SignatureOf `json:"signatures" doc:"signatures over that request, one per officer"`
	CouldSign        []OfficerName `json:"couldSign,omitempty" doc:"officers who may sign and have not; absent where that is not known or nobody is asked"`
	CouldSignUnknown string        `json:"couldSignUnknown,omitempty" doc:"why it is not known who could sign"`
	Ahead            []SignedAhead `json:"ahead,omitempty" doc:"later revisions that officers have signed and the object does not have, such as the closing request; absent in lists, and where signatures may not be read"`
	Host             *HostCopy     `json:"host,omitempty" doc:"what the CM host has; absent while it has nothing"`
	Warnings         []Finding     `json:"warnings" doc:"things worth knowing before anyone signs"`
	Next             string        `json:"next" doc:"what happens next, for people"`
}

// SignedAhead is a revision that officers have signed and the object does not have yet.
type SignedAhead struct {
	Revision int64         `json:"revision" doc:"in the request"`
	Digest   string        `json:"digest" doc:"sha256: and 64 hexadecimal digits"`
	State    string        `json:"state" doc:"Active, or Closed for the closing request"`
	Officers []OfficerName `json:"officers" doc:"who has signed it"`
}

// Gate is a condition.
type Gate struct {
	Type    string `json:"type" doc:"of the condition"`
	Status  string `json:"status" doc:"True, False or Unknown"`
	Reason  string `json:"reason" doc:"of the condition; NotSeen where the operator has not looked at this generation"`
	Message string `json:"message,omitempty" doc:"of the condition, for people"`
}

// RequestID identifies a request.
type RequestID struct {
	Revision int64  `json:"revision" doc:"in the request"`
	Digest   string `json:"digest" doc:"sha256: and 64 hexadecimal digits"`
}

// OfficerName names an administration officer.
type OfficerName struct {
	ID      string `json:"id" doc:"in the CM host's register"`
	Subject string `json:"subject" doc:"of the officer's certificate"`
}

// SignatureOf says who signed, and when.
type SignatureOf struct {
	Officer  OfficerName `json:"officer" doc:"who signed"`
	SignedAt time.Time   `json:"signedAt" doc:"the signing time inside the signature"`
	Object   string      `json:"object,omitempty" doc:"the ProcedureSignature or file that holds it; absent where only the CM host has it"`
}

// HostCopy is what the CM host has of a procedure.
type HostCopy struct {
	Revision   int64     `json:"revision" doc:"0 for a procedure that was made elsewhere, without evidence"`
	State      string    `json:"state" doc:"Active or Closed"`
	Digest     string    `json:"digest,omitempty" doc:"of the request that was accepted last"`
	AcceptedAt time.Time `json:"acceptedAt,omitzero" doc:"when the CM host accepted it"`
}

// Finding is a broken rule or a warning.
type Finding struct {
	File     string `json:"file,omitempty" doc:"where it is, as named on the command line"`
	Line     int    `json:"line,omitempty" doc:"in the file, from 1"`
	Object   string `json:"object,omitempty" doc:"kind and name"`
	Severity string `json:"severity,omitempty" doc:"error; missing, which a draft lacks to be submitted; or warning"`
	Field    string `json:"field,omitempty" doc:"path of the field at fault"`
	Reason   string `json:"reason" doc:"one word, as in conditions"`
	Message  string `json:"message" doc:"what was found and what to do"`
}

// VersionInfo is the output of version.
type VersionInfo struct {
	Header
	Version string `json:"version" doc:"of the program"`
	Go      string `json:"go" doc:"that it was built with"`
	API     string `json:"api" doc:"group and version of the custom resources"`
	PKCS11  bool   `json:"pkcs11" doc:"whether this build can use smart cards and HSMs"`
}

func (v *VersionInfo) stamp() { v.set("VersionInfo") }

// LintReport is the output of lint.
type LintReport struct {
	Header
	Objects  int       `json:"objects" doc:"how many objects of cm.tokenprocedures.dev were checked"`
	Errors   int       `json:"errors" doc:"how many findings are errors"`
	Findings []Finding `json:"findings" doc:"all findings, in the order of the files; warnings that need other objects last"`
}

func (r *LintReport) stamp() { r.set("LintReport") }

// VerifyReport is the output of verify.
type VerifyReport struct {
	Header
	Good       bool                `json:"good" doc:"every procedure has two good signatures"`
	Logs       []VerifiedLog       `json:"logs,omitempty" doc:"one for each --log"`
	Procedures []VerifiedProcedure `json:"procedures" doc:"one for each manifest that is no draft, and for each revision of a history"`
}

func (r *VerifyReport) stamp() { r.set("VerifyReport") }

// VerifiedProcedure is the judgement of one revision of a procedure.
type VerifiedProcedure struct {
	Where      string              `json:"where" doc:"the manifest's file and line, its namespace and name in the cluster, or the file of the history"`
	Procedure  string              `json:"procedure" doc:"name of the procedure on the CM host"`
	Audience   string              `json:"audience" doc:"of the CM host that the request is for"`
	Revision   int64               `json:"revision" doc:"in the request"`
	Digest     string              `json:"digest" doc:"sha256: and 64 hexadecimal digits"`
	AcceptedAt time.Time           `json:"acceptedAt,omitzero" doc:"when the CM host accepted it, as the export of the history says; with --log, as its log has it too"`
	Good       bool                `json:"good" doc:"two officers have signed exactly this request"`
	Message    string              `json:"message" doc:"the judgement in words"`
	Signatures []VerifiedSignature `json:"signatures" doc:"all signatures that are said to be of this procedure"`
}

// VerifiedSignature is the judgement of one signature.
type VerifiedSignature struct {
	Where    string      `json:"where" doc:"where the signature is"`
	Officer  OfficerName `json:"officer" doc:"who signed; empty while not known"`
	SignedAt time.Time   `json:"signedAt,omitzero" doc:"the signing time inside the signature"`
	Verified bool        `json:"verified" doc:"an officer who may sign made it"`
	Counted  bool        `json:"counted" doc:"it is one of the signatures that the request has"`
	Reason   string      `json:"reason" doc:"Counted, or why not, as in the conditions of ProcedureSignature"`
	Message  string      `json:"message" doc:"what was expected and what was found"`
}

// DiffReport is the output of diff.
type DiffReport struct {
	Header
	Where       string       `json:"where" doc:"the manifest's file and line, or its namespace and name"`
	Name        string       `json:"name" doc:"name of the procedure on the CM host"`
	Revision    int64        `json:"revision,omitempty" doc:"in the manifest"`
	Differs     bool         `json:"differs" doc:"the manifest differs from what it was compared with first"`
	Comparisons []Comparison `json:"comparisons" doc:"with the host's copy, where the host was asked, then with the last signed revision, where a signature is known"`
}

func (r *DiffReport) stamp() { r.set("DiffReport") }

// Comparison is a manifest held against something else.
type Comparison struct {
	With        string       `json:"with" doc:"host or signed"`
	Description string       `json:"description" doc:"of what it was compared with, for people"`
	Revision    int64        `json:"revision" doc:"of what it was compared with; 0 for a procedure made elsewhere"`
	Absent      bool         `json:"absent,omitempty" doc:"there is nothing of this name"`
	Same        bool         `json:"same" doc:"no field differs"`
	Differences []Difference `json:"differences" doc:"in the order of the desktop program's dialog"`
}

// Difference is a field with different values.
type Difference struct {
	Field string `json:"field" doc:"path in the custom resource"`
	Label string `json:"label" doc:"in the desktop program"`
	Old   string `json:"old,omitempty" doc:"value there; absent where there is none"`
	New   string `json:"new,omitempty" doc:"value in the manifest; absent where there is none"`
}

// SelectionReport is the output of select.
type SelectionReport struct {
	Header
	Procedure string           `json:"procedure" doc:"name of the token procedure"`
	KeyUsages []string         `json:"keyUsages,omitempty" doc:"of the request that was asked about"`
	Chosen    string           `json:"chosen,omitempty" doc:"the certificate procedure that the key gets; absent if none matches"`
	Why       string           `json:"why" doc:"for people"`
	Entries   []SelectionEntry `json:"entries" doc:"the procedure's certificate procedures in order"`
}

func (r *SelectionReport) stamp() { r.set("SelectionReport") }

// SelectionEntry is a certificate procedure in a token procedure's list.
type SelectionEntry struct {
	Name       string   `json:"name" doc:"of the certificate procedure"`
	State      string   `json:"state,omitempty" doc:"Active or Closed"`
	KeyUsages  []string `json:"keyUsages" doc:"that it has; none means all"`
	MatchesAll bool     `json:"matchesAll" doc:"it matches every request"`
	Unknown    bool     `json:"unknown,omitempty" doc:"the catalogue does not have it"`
	Shadowed   string   `json:"shadowed,omitempty" doc:"why it can never be chosen; absent if it can"`
}

// Sheet is the output of sheet.
type Sheet struct {
	Header
	Where    string       `json:"where" doc:"the manifest's file and line, or its namespace and name"`
	Revision int64        `json:"revision,omitempty" doc:"in the manifest"`
	Fields   []SheetField `json:"fields" doc:"all fields, in the order of the desktop program's dialog"`
}

func (r *Sheet) stamp() { r.set("Sheet") }

// SheetField is a field as the desktop program shows it.
type SheetField struct {
	Field string `json:"field" doc:"path in the custom resource"`
	Label string `json:"label" doc:"in the desktop program"`
	Value string `json:"value" doc:"empty where the field is absent"`
}

// RangesReport is the output of ranges.
type RangesReport struct {
	Header
	Used     []UsedRange    `json:"used,omitempty" doc:"by first number; absent with --free"`
	Overlaps []RangeOverlap `json:"overlaps,omitempty" doc:"what two procedures both have; at most 10,000"`
	Free     []FreeRange    `json:"free" doc:"gaps between 0 and 99999999999999999999 of at least --size numbers"`
}

func (r *RangesReport) stamp() { r.set("RangesReport") }

// FreeRange is a range of card serial numbers, both ends included.
type FreeRange struct {
	From    string `json:"from" doc:"first number, decimal"`
	To      string `json:"to" doc:"last number, decimal"`
	Numbers string `json:"numbers" doc:"how many numbers, decimal"`
}

// UsedRange is a range in use.
type UsedRange struct {
	FreeRange
	Procedure string `json:"procedure" doc:"name of the Active procedure on the CM host"`
}

// RangeOverlap is what two procedures both have.
type RangeOverlap struct {
	FreeRange
	Procedures []string `json:"procedures" doc:"the two"`
}

// History is the output of history.
type History struct {
	Header
	Audience  string                    `json:"audience" doc:"of the CM host"`
	Procedure string                    `json:"procedure" doc:"name on the CM host"`
	Items     []cmhostv1.TokenProcedure `json:"items" doc:"every revision with its evidence, oldest first, as GET …/history of the CM host's interface gives it"`
}

func (h *History) stamp() { h.set("History") }

// AuditReport is the output of report.
type AuditReport struct {
	Header
	Audience   string            `json:"audience" doc:"of the CM host"`
	From       time.Time         `json:"from" doc:"start of the period"`
	To         time.Time         `json:"to" doc:"end of the period"`
	LogLength  int64             `json:"logLength" doc:"how many entries the host's log has"`
	LogHead    string            `json:"logHead" doc:"the hash of its last entry"`
	Approvals  []Approval        `json:"approvals" doc:"requests that the host accepted in the period, oldest first"`
	Loads      []LoadEntry       `json:"loads" doc:"what the host's administrator loaded in the period, oldest first"`
	Procedures []ProcedureAtDate `json:"procedures" doc:"the state of every procedure at the end of the period"`
	Problems   []string          `json:"problems" doc:"what is wrong in the log; empty if everything could be checked and is good"`
}

func (r *AuditReport) stamp() { r.set("AuditReport") }

// Approval is a request that the host accepted.
type Approval struct {
	Index      int64         `json:"index" doc:"of the log's entry"`
	Time       time.Time     `json:"time" doc:"when the host accepted it"`
	Procedure  string        `json:"procedure" doc:"name on the CM host"`
	Revision   int64         `json:"revision" doc:"in the request"`
	Digest     string        `json:"digest" doc:"sha256: and 64 hexadecimal digits"`
	State      string        `json:"state" doc:"Active or Closed"`
	New        bool          `json:"new,omitempty" doc:"the host had no procedure of this name"`
	Signatures []SignatureOf `json:"signatures" doc:"the two officers"`
	Changes    []Difference  `json:"changes" doc:"against the revision before"`
	Checked    bool          `json:"checked" doc:"the chain of hashes up to it and both signatures were checked and are good"`
}

// LoadEntry is a change that the host's administrator loaded.
type LoadEntry struct {
	Index  int64     `json:"index" doc:"of the log's entry"`
	Time   time.Time `json:"time" doc:"when it was loaded"`
	Action string    `json:"action" doc:"Added, Changed, Removed or Imported"`
	Kind   string    `json:"kind" doc:"of the object"`
	Name   string    `json:"name" doc:"of the object; for an officer, the id"`
}

// ProcedureAtDate is the state of a procedure at the end of the period.
type ProcedureAtDate struct {
	Procedure string    `json:"procedure" doc:"name on the CM host"`
	Revision  int64     `json:"revision" doc:"0 for a procedure made elsewhere"`
	State     string    `json:"state" doc:"Active or Closed"`
	Digest    string    `json:"digest,omitempty" doc:"of the accepted request"`
	Since     time.Time `json:"since" doc:"when the host accepted or imported it"`
}

// VerifiedLog is the judgement of an export of a host's log.
type VerifiedLog struct {
	Where    string `json:"where" doc:"the file"`
	Good     bool   `json:"good" doc:"no entry is missing or changed, and two officers signed every accepted request"`
	Entries  int64  `json:"entries" doc:"how many entries are good, from the first on"`
	Head     string `json:"head" doc:"the hash of the last good entry: compare it with what the CM host or CMHost.status.log says"`
	Accepted int    `json:"accepted" doc:"how many requests were accepted"`
	Message  string `json:"message,omitempty" doc:"what is wrong"`
}

// SubmitReport is the output of submit.
type SubmitReport struct {
	Header
	Audience string      `json:"audience" doc:"of the CM host"`
	Items    []Submitted `json:"items" doc:"one for each procedure that the host has as signed; what was refused is an error"`
}

func (r *SubmitReport) stamp() { r.set("SubmitReport") }

// Submitted is what the CM host has of a procedure after submitting.
type Submitted struct {
	Procedure  string    `json:"procedure" doc:"name on the CM host"`
	Revision   int64     `json:"revision" doc:"that the host has now"`
	State      string    `json:"state" doc:"Active or Closed"`
	Digest     string    `json:"digest" doc:"of the accepted request"`
	AcceptedAt time.Time `json:"acceptedAt" doc:"when the CM host accepted it"`
	Sent       bool      `json:"sent" doc:"it was sent now; false where the host had this revision, or a higher one, before"`
}
