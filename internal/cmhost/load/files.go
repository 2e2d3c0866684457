package load

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// officersFile is the form of officers.yaml.
type officersFile struct {
	Officers []officerEntry `json:"officers"`
}

// officerEntry is an officer in the file. The subject is that of the certificates; where it is given, it must be the same.
type officerEntry struct {
	ID           string   `json:"id"`
	Subject      string   `json:"subject,omitempty"`
	State        string   `json:"state"`
	Roles        []string `json:"roles,omitempty"`
	Domain       string   `json:"domain,omitempty"`
	Certificates []string `json:"certificates,omitempty"` // PEM files, relative to the file's folder
}

// proceduresFile is the form of a file with procedures made elsewhere.
type proceduresFile struct {
	Procedures []request.Procedure `json:"procedures"`
}

// ReadOfficers reads officers.yaml and the certificates that it names.
func ReadOfficers(path string) ([]signing.Officer, error) {
	var file officersFile
	if err := readYAML(path, &file); err != nil {
		return nil, err
	}
	if file.Officers == nil {
		return nil, fmt.Errorf("%s: there is no list of officers; to remove all of them, write officers: []", path)
	}
	officers := make([]signing.Officer, 0, len(file.Officers))
	for _, entry := range file.Officers {
		officer, err := entry.read(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("%s: officer %q: %w", path, entry.ID, err)
		}
		officers = append(officers, officer)
	}
	return officers, nil
}

func (e officerEntry) read(folder string) (signing.Officer, error) {
	officer := signing.Officer{ID: e.ID, Subject: e.Subject, State: e.State, Roles: e.Roles, Domain: e.Domain}
	for _, name := range e.Certificates {
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		certificate, err := readCertificate(name)
		if err != nil {
			return signing.Officer{}, err
		}
		if officer.Subject == "" {
			officer.Subject = certificate.Subject.String()
		}
		officer.Certificates = append(officer.Certificates, certificate.Raw)
	}
	return officer, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: expected exactly one certificate in PEM", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}

// ReadCatalog reads catalog.yaml, which has the form of GET /v1/catalog. What is not listed is removed; {} removes all.
func ReadCatalog(path string) (*rules.Catalog, error) {
	var catalog rules.Catalog
	if err := readYAML(path, &catalog); err != nil {
		return nil, err
	}
	return &catalog, nil
}

// ReadProcedures reads procedures made elsewhere, without evidence.
func ReadProcedures(path string) ([]request.Procedure, error) {
	var file proceduresFile
	if err := readYAML(path, &file); err != nil {
		return nil, err
	}
	if file.Procedures == nil {
		return nil, fmt.Errorf("%s: there is no list of procedures; to load none, write procedures: []", path)
	}
	return file.Procedures, nil
}
