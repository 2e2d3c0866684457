package server

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// Bounds of the contract.
const (
	defaultPage = 100
	maxPage     = 500
	maxIndex    = 1<<53 - 1
	maxName     = 128
)

// api answers the calls of the contract.
type api struct{ server *Server }

var _ cmhostv1.StrictServerInterface = (*api)(nil)

func (a *api) store() *store.Store { return a.server.config.Store }

// GetHost implements the contract.
func (a *api) GetHost(ctx context.Context, _ cmhostv1.GetHostRequestObject) (cmhostv1.GetHostResponseObject, error) {
	head, err := a.store().Head(ctx)
	if err != nil {
		return nil, err
	}
	config := a.server.config
	return cmhostv1.GetHost200JSONResponse{
		Audience: config.Audience, Product: Product, Version: config.Version, Time: instant(config.Now()),
		MaxSignatureAge: config.MaxSignatureAge.String(), Log: cmhostv1.LogHead{Length: head.Length, Head: head.Hash},
	}, nil
}

// instant is a time as the host writes it: UTC, to the millisecond.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// ListOfficers implements the contract.
func (a *api) ListOfficers(ctx context.Context, call cmhostv1.ListOfficersRequestObject) (cmhostv1.ListOfficersResponseObject, error) {
	policy, err := a.store().Policy(ctx)
	if err != nil {
		return nil, err
	}
	return conditional(policy.OfficersDocument, call.Params.IfNoneMatch), nil
}

// GetCatalog implements the contract.
func (a *api) GetCatalog(ctx context.Context, call cmhostv1.GetCatalogRequestObject) (cmhostv1.GetCatalogResponseObject, error) {
	policy, err := a.store().Policy(ctx)
	if err != nil {
		return nil, err
	}
	return conditional(policy.CatalogDocument, call.Params.IfNoneMatch), nil
}

// conditional is a document, or that the client has it already.
func conditional(d store.Document, known *string) document {
	answer := document{etag: d.ETag, body: d.Body}
	if known != nil {
		for tag := range strings.SplitSeq(*known, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			answer.unchanged = answer.unchanged || tag == d.ETag || tag == "*"
		}
	}
	return answer
}

// ListTokenProcedures implements the contract.
func (a *api) ListTokenProcedures(ctx context.Context, call cmhostv1.ListTokenProceduresRequestObject) (cmhostv1.ListTokenProceduresResponseObject, error) {
	limit, refused := limitOf(call.Params.Limit, defaultPage)
	if refused != nil {
		return nil, refused
	}
	after := ""
	if call.Params.After != nil {
		after = *call.Params.After
	}
	if !storable(after) || utf8.RuneCountInString(after) > maxName {
		return nil, problem.New(cmhostv1.ProblemMalformed, "after is not a name").At("/after", "expected a name of at most %d characters", maxName)
	}
	page, err := a.store().Procedures(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	var next any
	if page.More {
		next = page.LastName
	}
	return pageOf(page.Items, next)
}

// limitOf is how many items a page may have.
func limitOf(given *int, absent int) (int, *problem.Error) {
	if given == nil {
		return absent, nil
	}
	if *given < 1 || *given > maxPage {
		return 0, problem.New(cmhostv1.ProblemMalformed, "limit is %d; expected 1 to %d", *given, maxPage).At("/limit", "expected 1 to %d", maxPage)
	}
	return *given, nil
}

// indexOf is the place in the log behind which an answer begins.
func indexOf(given *int64) (int64, *problem.Error) {
	if given == nil {
		return 0, nil
	}
	if *given < 0 || *given > maxIndex {
		return 0, problem.New(cmhostv1.ProblemMalformed, "after is %d; expected what next was in the answer before", *given).At("/after", "expected 0 to %d", maxIndex)
	}
	return *given, nil
}

// storable tells whether a database can have a text; all databases have all names.
func storable(text string) bool {
	const enough = 1024
	return len(text) <= enough && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// GetTokenProcedure implements the contract.
func (a *api) GetTokenProcedure(ctx context.Context, call cmhostv1.GetTokenProcedureRequestObject) (cmhostv1.GetTokenProcedureResponseObject, error) {
	procedure, err := a.procedure(ctx, call.Name)
	if err != nil {
		return nil, err
	}
	return cmhostv1.GetTokenProcedure200JSONResponse(*procedure), nil
}

func (a *api) procedure(ctx context.Context, name string) (*cmhostv1.TokenProcedure, error) {
	noted(ctx).name = name
	if !storable(name) {
		return nil, store.ErrNotFound
	}
	return a.store().Procedure(ctx, name)
}

// GetTokenProcedureHistory implements the contract.
func (a *api) GetTokenProcedureHistory(ctx context.Context, call cmhostv1.GetTokenProcedureHistoryRequestObject) (cmhostv1.GetTokenProcedureHistoryResponseObject, error) {
	const all = 1 << 30
	limit, refused := limitOf(call.Params.Limit, all)
	if refused != nil {
		return nil, refused
	}
	after, refused := indexOf(call.Params.After)
	if refused != nil {
		return nil, refused
	}
	noted(ctx).name = call.Name
	if !storable(call.Name) {
		return nil, store.ErrNotFound
	}
	revisions, page, err := a.store().History(ctx, call.Name, after, limit)
	if err != nil {
		return nil, err
	}
	history := cmhostv1.GetTokenProcedureHistory200JSONResponse{Items: revisions}
	if page.More {
		history.Next = page.LastIndex
	}
	return history, nil
}

// SelectCertificateProcedure implements the contract.
func (a *api) SelectCertificateProcedure(ctx context.Context, call cmhostv1.SelectCertificateProcedureRequestObject) (cmhostv1.SelectCertificateProcedureResponseObject, error) {
	var usages []string
	if call.Params.KeyUsage != nil {
		usages = *call.Params.KeyUsage
	}
	if len(usages) > len(rules.KeyUsages) {
		return nil, problem.New(cmhostv1.ProblemMalformed, "%d key usages; expected at most %d", len(usages), len(rules.KeyUsages)).
			At("/keyUsage", "expected at most %d", len(rules.KeyUsages))
	}
	if err := rules.ParseKeyUsages(usages); err != nil {
		return nil, problem.New(cmhostv1.ProblemMalformed, "%s", err).At("/keyUsage", "%s", err)
	}
	procedure, err := a.procedure(ctx, call.Name)
	if err != nil {
		return nil, err
	}
	policy, err := a.store().Policy(ctx)
	if err != nil {
		return nil, err
	}
	selected, err := rules.SelectCertificateProcedure(procedure.Procedure, &policy.Catalog, usages)
	if errors.Is(err, rules.ErrNoMatch) {
		return nil, problem.New(cmhostv1.ProblemNoMatch, "%s", err)
	}
	if err != nil {
		return nil, err
	}
	return cmhostv1.SelectCertificateProcedure200JSONResponse{CertificateProcedure: selected}, nil
}

// ReadLog implements the contract.
func (a *api) ReadLog(ctx context.Context, call cmhostv1.ReadLogRequestObject) (cmhostv1.ReadLogResponseObject, error) {
	limit, refused := limitOf(call.Params.Limit, defaultPage)
	if refused != nil {
		return nil, refused
	}
	after, refused := indexOf(call.Params.After)
	if refused != nil {
		return nil, refused
	}
	page, err := a.store().Log(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	var next any
	if page.More {
		next = page.LastIndex
	}
	return pageOf(page.Items, next)
}

// WatchChanges implements the contract.
func (a *api) WatchChanges(ctx context.Context, call cmhostv1.WatchChangesRequestObject) (cmhostv1.WatchChangesResponseObject, error) {
	wait := time.Duration(0)
	if given := call.Params.Wait; given != nil {
		if most := int(MaxWait.Seconds()); *given < 0 || *given > most {
			return nil, problem.New(cmhostv1.ProblemMalformed, "wait is %d; expected 0 to %d seconds", *given, most).At("/wait", "expected 0 to %d", most)
		}
		wait = time.Duration(*given) * time.Second
	}
	if call.Params.After == nil {
		now, err := a.store().Now(ctx)
		return cmhostv1.WatchChanges200JSONResponse{Items: []cmhostv1.Change{}, Next: now}, err
	}
	// A server that goes down ends the waiting, not the reading.
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.server.drain, cancel)()
	changes, next, err := a.store().Changes(ctx, waiting.Done(), *call.Params.After, wait)
	if changes == nil {
		changes = []cmhostv1.Change{}
	}
	return cmhostv1.WatchChanges200JSONResponse{Items: changes, Next: next}, err
}
