//go:build linux

package plugin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// card is a manifest as people write it, with comments.
const card = `# The card that everybody gets.
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata:
  name: employee-card
  namespace: pki
  uid: 8a6f # of the test cluster
  annotations: {example.com/owner: pki}
spec:
  cmHostRef: {name: test} # changes with the host
  revision: 7
  procedure:
    name: Employee card
    state: Active
    domain: Corp
    storageProfile: SmartCard
    # agreed with the factory
    cardSerialNumber: {enabled: true, range: {from: "100000", to: "199999"}}
    pinProcedure: PIN letter
    issuerCertificates: {policy: StoreNone}
    certificateProcedures: [General, Authentication, Signature]
status: {}
`

// bulk is how many procedures the host has from elsewhere, beside the two cards.
const bulk = 101

// newHostDesk is a desk with a CM host and two officers, and no cluster at all.
func newHostDesk(t *testing.T) *site {
	t.Helper()
	d := newDesk(t)
	first, second := d.officers()
	visitor, spare := signingtest.Procedure("Visitor card"), signingtest.Procedure("Spare card")
	visitor.CardSerialNumber.Range = &request.SerialNumberRange{From: "150000", To: "250000"}
	spare.CardSerialNumber.Range = &request.SerialNumberRange{From: "400000", To: "499999"}
	procedures := []request.Procedure{visitor, spare}
	for i := range bulk {
		procedures = append(procedures, request.Procedure{Name: fmt.Sprintf("Bulk %03d", i), State: request.Active, StorageProfile: "Data", CertificateProcedures: []string{"General"}})
	}
	s := newSite(d, hosttest.Options{Officers: signingtest.Officers(first, second), Procedures: procedures})
	s.write("card.yaml", strings.NewReplacer("revision: 7", "revision: 1", "[General, ", "[").Replace(card))
	return s
}

// TestAtTheHost works at a CM host while there is no cluster.
func TestAtTheHost(t *testing.T) {
	s := newHostDesk(t)
	sign := "kubectl-tokenproc sign -f card.yaml --audience cm.test $HOST --yes --key file:officer-%[1]d.key --cert officer-%[1]d.crt --out signatures/%[1]d.yaml"
	s.must("mkdir signatures && " + fmt.Sprintf(sign, 1))
	s.golden("host-submit",
		"kubectl-tokenproc submit -f signatures $HOST --yes",
		fmt.Sprintf(sign, 2)+" 2>&1 | tail -1",
		"kubectl-tokenproc submit -f signatures $HOST --yes 2>&1 | tail -1",
		"kubectl-tokenproc submit -f signatures ${HOST//reader/submitter}",
		"kubectl-tokenproc submit -f signatures ${HOST//reader/submitter} --yes -o json 2>/dev/null",
		"kubectl-tokenproc submit -f signatures ${HOST//reader/submitter} --yes",
		"kubectl-tokenproc submit -f card.yaml ${HOST//reader/submitter} --yes",
		"kubectl-tokenproc submit -f card.yaml --host http://cm.test --host-ca ca.crt --host-cert reader.crt --host-key reader.key",
	)
	s.golden("host-ranges",
		"kubectl-tokenproc ranges $HOST",
		"kubectl-tokenproc ranges $HOST -o yaml",
		"kubectl-tokenproc ranges $HOST --free --size 149999",
		"kubectl-tokenproc ranges $HOST --free --size 99999999999999999999",
		"kubectl-tokenproc ranges $HOST --free --size 100k",
	)
	picture := s.terminal("stty cols 100; kubectl-tokenproc ranges $HOST")
	picture.end(0)
	s.compare("host-ranges-on-a-terminal.txt", picture.text())

	s.golden("host-select-diff",
		"kubectl-tokenproc select -f card.yaml $HOST",
		"sed 's/Authentication,/General, Authentication,/' card.yaml | kubectl-tokenproc select -f - $HOST",
		"sed 's/Authentication,/General, Authentication,/' card.yaml | kubectl-tokenproc select -f - $HOST --key-usage nonRepudiation -o yaml",
		"kubectl-tokenproc diff -f card.yaml $HOST",
		"sed 's/revision: 1/revision: 2/; s/PIN letter/User PIN/' card.yaml | kubectl-tokenproc diff -f - $HOST",
		"sed 's/revision: 1/revision: 2/; s/PIN letter/User PIN/' card.yaml | kubectl-tokenproc diff -f - -f signatures -o json",
		"kubectl-tokenproc diff -f card.yaml",
	)
	s.promote()
	s.importAll()
	s.evidence()
	s.bundle()
}

// promote writes the manifest for the other host, with its comments, and lists what is missing there.
func (s *site) promote() {
	s.Helper()
	s.write("test.yaml", card)
	s.write("missing.yaml", strings.NewReplacer("Employee card", "Guest card", "PIN letter", "PIN by post", "General, Authentication", "Retired, Secret", "Corp", "Lab").Replace(card))
	s.write("aliases.yaml", strings.NewReplacer("namespace: pki", "namespace: &name pki", "{name: test}", "{name: *name}").Replace(card))
	s.golden("host-promote",
		"kubectl-tokenproc promote -f test.yaml --to production $HOST",
		"kubectl-tokenproc promote -f missing.yaml --to production $HOST --out guest.yaml",
		"kubectl-tokenproc lint -f guest.yaml $HOST",
		"kubectl-tokenproc promote -f aliases.yaml --to production $HOST 2>&1 | grep -e without -e production -e namespace -e '#'",
		"kubectl-tokenproc promote -f card.yaml --to production $HOST -o json | head -4",
		"kubectl-tokenproc promote -f test.yaml $HOST",
	)
}

// importAll takes over what the host has, with what it has of evidence.
func (s *site) importAll() {
	s.Helper()
	s.must("mkdir certificates && cp officer-1.crt officer-2.crt certificates")
	s.golden("host-import",
		`kubectl-tokenproc import "Employee card" "Visitor card" $HOST --cmhost local -n pki`,
		`kubectl-tokenproc import "Employee card" $HOST --cmhost local -o json | head -6`,
		"kubectl-tokenproc import employee-card $HOST --cmhost local",
		"kubectl-tokenproc import --all $HOST",
		"kubectl-tokenproc import --all $HOST --cmhost local -n pki --out imported",
		"kubectl-tokenproc lint -f imported 2>&1 | tail -3",
		"kubectl-tokenproc import --all $HOST --cmhost local -n pki --out imported",
		"kubectl-tokenproc verify -f imported/employee-card.yaml --audience cm.test --officers certificates",
	)
	if files, err := filepath.Glob(filepath.Join(s.folder, "imported", "*.yaml")); err != nil || len(files) != bulk+3 {
		s.Errorf("%d files were imported, want %d (%v)", len(files), bulk+3, err)
	}
}

var (
	printedCheck = regexp.MustCompile(`(?m)^  (openssl cms .*)$`)
	checkedFile  = regexp.MustCompile(`-in evidence/r\d+-\d+-(officer-\d)\.p7m`)
)

// evidence runs every openssl command that history prints, on what it wrote and on what somebody changed afterwards.
func (s *site) evidence() {
	s.Helper()
	s.golden("host-history", `kubectl-tokenproc history "Employee card" $HOST --evidence evidence`,
		`kubectl-tokenproc history "Employee card" $HOST --evidence evidence`, "kubectl-tokenproc history", `kubectl-tokenproc history "No card" $HOST`)
	done := s.run(`rm -r evidence; kubectl-tokenproc history "Employee card" $HOST --evidence evidence`)
	commands := printedCheck.FindAllStringSubmatch(done.stderr, -1)
	if len(commands) != 2 {
		s.Fatalf("%d commands were printed, want 2:\n%s", len(commands), done.stderr)
	}
	for _, command := range commands {
		officer := checkedFile.FindStringSubmatch(command[1])
		if officer == nil {
			s.Fatalf("the command names no officer's file: %s", command[1])
		}
		check := strings.ReplaceAll(command[1], "OFFICER.crt", officer[1]+".crt")
		s.must(check)
		other := map[string]string{"officer-1": "officer-2", "officer-2": "officer-1"}[officer[1]]
		if done := s.run(strings.ReplaceAll(command[1], "OFFICER.crt", other+".crt")); done.code == 0 {
			s.Errorf("with the certificate of another officer the check succeeds: %s", done.line)
		}
		s.must("rm evidence/*.checked; sed -i s/100000/100001/ evidence/*.p7m evidence/*.request.json")
		if done := s.run(check); done.code == 0 {
			s.Errorf("the check of forged evidence succeeds: %s", done.line)
		}
		s.must("rm -f evidence/*.checked; sed -i s/100001/100000/ evidence/*.p7m evidence/*.request.json")
	}
}

// bundle checks a report's bundle with the host gone, and again after somebody changed it.
func (s *site) bundle() {
	s.Helper()
	s.golden("host-report",
		"kubectl-tokenproc report --from 2020-01-01 $HOST --bundle bundle | sed '/^Bulk/d; s/, \"Bulk 001.*/, …/'",
		"kubectl-tokenproc report --from 2020-01-01 $HOST --bundle bundle",
		"kubectl-tokenproc report --from 2020-01-01 --to 2020-01-02 $HOST --bundle earlier; diff -r bundle earlier && echo the bundle is whole",
		"kubectl-tokenproc report --from 2030-01-01 $HOST",
		"kubectl-tokenproc report --from 2020-01-01 $HOST -o pdf",
		"kubectl-tokenproc report $HOST",
		"kubectl-tokenproc report --from 2020-01-01 $HOST -o csv",
	)
	if err := s.host.Stop(); err != nil {
		s.Fatal(err)
	}
	s.golden("host-bundle",
		"kubectl-tokenproc report --from 2020-01-01 $HOST",
		"kubectl-tokenproc verify --log bundle/log.jsonl",
		"kubectl-tokenproc verify --history bundle/history-employee-card.json --officers certificates",
		"kubectl-tokenproc verify --history bundle/history-employee-card.json --officers certificates -o yaml | head -3",
		"sed -i s/199999/199998/ bundle/history-employee-card.json; kubectl-tokenproc verify --history bundle/history-employee-card.json --officers certificates | head -1 | cut -c1-60",
		"sed -i 3d bundle/log.jsonl; kubectl-tokenproc verify --log bundle/log.jsonl | cut -c1-60",
	)
	if _, err := os.Stat(filepath.Join(s.folder, "bundle", "history-visitor-card.json")); err == nil {
		s.Error("there is a history of a procedure without evidence")
	}
}
