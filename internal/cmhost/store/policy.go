package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// Document is the register or the catalogue as it is served.
type Document struct {
	ETag string
	Body json.RawMessage
}

// The documents' kinds.
const (
	kindOfficers = "officers"
	kindCatalog  = "catalog"
)

// noTag stands for a document that was never loaded.
const noTag = `"none"`

// Policy is the register and the catalogue, ready to judge with. It is immutable.
type Policy struct {
	Officers []signing.Officer
	Catalog  rules.Catalog
	Register *signing.Register

	OfficersDocument, CatalogDocument Document
}

// is tells whether a policy was read from the documents with these tags.
func (p *Policy) is(officers, catalog string) bool {
	return p != nil && p.OfficersDocument.ETag == officers && p.CatalogDocument.ETag == catalog
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, arguments ...any) *sql.Row
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
}

// readPolicy reads register and catalogue. Before anything was loaded both are empty, without tags.
func readPolicy(ctx context.Context, from querier) (*Policy, error) {
	officers, err := readDocument(ctx, from, kindOfficers)
	if err != nil {
		return nil, err
	}
	catalog, err := readDocument(ctx, from, kindCatalog)
	if err != nil {
		return nil, err
	}
	return newPolicy(officers, catalog)
}

func newPolicy(officers, catalog Document) (*Policy, error) {
	if len(officers.Body) == 0 {
		officers.Body = json.RawMessage(`{"items":[]}`)
	}
	if len(catalog.Body) == 0 {
		catalog.Body = json.RawMessage(`{"storageProfiles":[],"domains":[],"pinProcedures":[],"keyProcedures":[],"certificateProcedures":[],"attributeCertificateProcedures":[],"inputViews":[]}`)
	}
	policy := &Policy{OfficersDocument: officers, CatalogDocument: catalog}
	var list cmhostv1.OfficerList
	if err := json.Unmarshal(officers.Body, &list); err != nil {
		return nil, fmt.Errorf("read the stored register: %w", err)
	}
	if err := json.Unmarshal(catalog.Body, &policy.Catalog); err != nil {
		return nil, fmt.Errorf("read the stored catalogue: %w", err)
	}
	policy.Officers = list.Items
	policy.Register = signing.NewRegister(list.Items, domains.NewTree(policy.Catalog.Domains))
	return policy, nil
}

func readDocument(ctx context.Context, from querier, kind string) (Document, error) {
	var document Document
	var body string
	err := from.QueryRowContext(ctx, `SELECT etag, body FROM documents WHERE kind = $1`, kind).Scan(&document.ETag, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return Document{ETag: noTag}, nil
	}
	if err != nil {
		return Document{}, fmt.Errorf("read %s: %w", kind, err)
	}
	document.Body = json.RawMessage(body)
	return document, nil
}

// Policy is the register and the catalogue as they are now.
func (s *Store) Policy(ctx context.Context) (*Policy, error) {
	const tags = `SELECT COALESCE((SELECT etag FROM documents WHERE kind = 'officers'), $1), COALESCE((SELECT etag FROM documents WHERE kind = 'catalog'), $1)`
	var officers, catalog string
	if err := s.reader.QueryRowContext(ctx, tags, noTag).Scan(&officers, &catalog); err != nil {
		return nil, fmt.Errorf("read register and catalogue: %w", err)
	}
	if policy := s.recalled(); policy.is(officers, catalog) {
		return policy, nil
	}
	snapshot, err := s.reader.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read register and catalogue: %w", err)
	}
	defer func() { _ = snapshot.Rollback() }()
	policy, err := readPolicy(ctx, snapshot)
	if err == nil {
		s.remember(policy)
	}
	return policy, err
}

// RecentPolicy is the register and the catalogue as they were when this program last looked: enough to judge ahead.
func (s *Store) RecentPolicy(ctx context.Context) (*Policy, error) {
	if policy := s.recalled(); policy != nil {
		return policy, nil
	}
	return s.Policy(ctx)
}

func (s *Store) recalled() *Policy {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.cached
}

func (s *Store) remember(policy *Policy) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.cached = policy
}

// SetPolicy replaces register and catalogue. The entries that say what changes are the caller's to append.
func (tx *Tx) SetPolicy(ctx context.Context, officers []signing.Officer, catalog rules.Catalog) error {
	register, err := documentOf(cmhostv1.OfficerList{Items: officers})
	if err != nil {
		return tx.fail("write the register", err)
	}
	offered, err := documentOf(catalog)
	if err != nil {
		return tx.fail("write the catalogue", err)
	}
	tx.written++
	for kind, document := range map[string]Document{kindOfficers: register, kindCatalog: offered} {
		if err := tx.exec(ctx, "write "+kind, putDocument, kind, document.ETag, string(document.Body)); err != nil {
			return err
		}
	}
	tx.policy, err = newPolicy(register, offered)
	if err != nil {
		return tx.fail("read what was written", err)
	}
	return nil
}

func documentOf(content any) (Document, error) {
	body, err := json.Marshal(content)
	sum := sha256.Sum256(body)
	return Document{ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Body: body}, err
}
