package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// officersEntry is an officer in a file such as `cmhost load` reads: certificates are named by path, relative to it.
type officersEntry struct {
	ID           string   `json:"id"`
	Subject      string   `json:"subject,omitempty"`
	State        string   `json:"state"`
	Roles        []string `json:"roles,omitempty"`
	Domain       string   `json:"domain,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
}

// readOfficerFile reads the officers from a folder of certificates, from officers.yaml as the CM host's administrator has
// it, or from an answer of GET /v1/officers.
func readOfficerFile(path string) ([]signing.Officer, error) {
	found, err := os.Stat(path)
	if err != nil {
		return nil, usagef("--officers: %w", err)
	}
	if found.IsDir() {
		return officersFromFolder(path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("--officers: %w", err)
	}
	var answered cmhostv1.OfficerList
	if json.Unmarshal(content, &answered) == nil && len(answered.Items) > 0 {
		return answered.Items, nil
	}
	var listed struct {
		Officers []officersEntry `json:"officers"`
	}
	if err := yaml.UnmarshalStrict(content, &listed); err != nil || len(listed.Officers) == 0 {
		return nil, usagef("--officers: %s is neither a list `officers:` with id, state, roles and certificates, nor an answer of GET /v1/officers: %v", path, err)
	}
	officers := make([]signing.Officer, len(listed.Officers))
	for i, entry := range listed.Officers {
		if officers[i], err = entry.read(filepath.Dir(path)); err != nil {
			return nil, usagef("--officers: officer %s: %w", entry.ID, err)
		}
	}
	return officers, nil
}

func (e *officersEntry) read(folder string) (signing.Officer, error) {
	officer := signing.Officer{ID: e.ID, Subject: e.Subject, State: e.State, Roles: e.Roles, Domain: e.Domain}
	for _, name := range e.Certificates {
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		certificate, err := keys.ReadCertificate(name)
		if err != nil {
			return officer, err
		}
		officer.Subject = certificate.Subject.String()
		officer.Certificates = append(officer.Certificates, certificate.Raw)
	}
	return officer, nil
}

// officersFromFolder takes every certificate in a folder for that of an officer in good standing, bound by its subject.
func officersFromFolder(folder string) ([]signing.Officer, error) {
	var files []string
	for _, pattern := range []string{"*.crt", "*.pem", "*.cer"} {
		matched, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return nil, usagef("--officers: %w", err)
		}
		files = append(files, matched...)
	}
	slices.Sort(files)
	var officers []signing.Officer
	for _, file := range files {
		certificate, err := keys.ReadCertificate(file)
		if err != nil {
			return nil, usagef("--officers: %w", err)
		}
		subject := certificate.Subject.String()
		i := slices.IndexFunc(officers, func(o signing.Officer) bool { return o.Subject == subject })
		if i < 0 {
			officers = append(officers, signing.Officer{ID: subject, Subject: subject, State: "Active", Roles: []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks}})
			i = len(officers) - 1
		}
		officers[i].Certificates = append(officers[i].Certificates, certificate.Raw)
	}
	if len(officers) == 0 {
		return nil, usagef("--officers: the folder %s has no certificate (*.crt, *.pem, *.cer)", folder)
	}
	return officers, nil
}

// readHistoryFile reads an export of the CM host's history: one answer of GET …/history, or what `history -o json` and
// `report --bundle` write.
func readHistoryFile(path string) ([]cmhostv1.TokenProcedure, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("--history: %w", err)
	}
	var exported cmhostv1.TokenProcedureHistory
	if err := yaml.Unmarshal(content, &exported); err != nil {
		return nil, usagef("--history: %s is no export of a history, an object with `items`: %w", path, err)
	}
	if len(exported.Items) == 0 {
		return nil, usagef("--history: %s has no revisions in `items`", path)
	}
	return exported.Items, nil
}

// openRegister asks the host for its officers, and indexes them.
func openRegister(ctx context.Context, asked *host) (*signing.Register, error) {
	known := readOfficers(ctx, asked)
	if known.problem != "" {
		return nil, fmt.Errorf("%s", known.problem)
	}
	return signing.NewRegister(known.all, known.tree), nil
}
