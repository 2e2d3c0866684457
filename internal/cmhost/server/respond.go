package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

// refuse answers with a problem document. What is no refusal of ours is the database's failure: the client learns that
// the host is unavailable, the log why.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refused *problem.Error
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, store.ErrNotFound):
		refused = problem.New(cmhostv1.ProblemNotFound, "there is no token procedure %q on this host", r.PathValue("name"))
	case errors.Is(err, store.ErrCursorGone):
		refused = problem.New(cmhostv1.ProblemCursorGone, "%s: list again, and follow from a new cursor", err)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		refused = problem.New(cmhostv1.ProblemUnavailable, "the client has gone")
	default:
		refused = problem.New(cmhostv1.ProblemUnavailable, "the host cannot answer now: try again after the time in Retry-After")
		noted(r.Context()).cause = err
	}
	respond(w, r, refused)
}

// respond writes a problem document.
func respond(w http.ResponseWriter, r *http.Request, refused *problem.Error) {
	noted(r.Context()).problem = refused
	body, err := json.Marshal(refused.Problem)
	if err != nil {
		panic("a problem document cannot be serialised: " + err.Error())
	}
	if refused.RetryAfter > 0 {
		seconds := math.Ceil(refused.RetryAfter.Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(int(min(seconds, time.Hour.Seconds()))))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(refused.Status)
	_, _ = w.Write(body) // the client may have gone
}

// malformed answers a parameter or a body that cannot be read.
func (s *Server) malformed(w http.ResponseWriter, r *http.Request, err error) {
	refused := problem.New(cmhostv1.ProblemMalformed, "%s", err)
	if parameter, ok := errors.AsType[*cmhostv1.InvalidParamFormatError](err); ok {
		refused = problem.New(cmhostv1.ProblemMalformed, "the parameter %s cannot be read: %s", parameter.ParamName, parameter.Err).
			At("/"+parameter.ParamName, "%s", parameter.Err)
	}
	s.refuse(w, r, refused)
}

// document is an answer that is JSON already.
type document struct {
	etag string
	// unchanged is true if the client has it.
	unchanged bool
	body      []byte
}

func (d document) write(w http.ResponseWriter) error {
	if d.etag != "" {
		w.Header().Set("ETag", d.etag)
	}
	if d.unchanged {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(d.body)
	return err
}

// VisitListOfficersResponse implements the generated interface.
func (d document) VisitListOfficersResponse(w http.ResponseWriter) error { return d.write(w) }

// VisitGetCatalogResponse implements the generated interface.
func (d document) VisitGetCatalogResponse(w http.ResponseWriter) error { return d.write(w) }

// VisitListTokenProceduresResponse implements the generated interface.
func (d document) VisitListTokenProceduresResponse(w http.ResponseWriter) error { return d.write(w) }

// VisitReadLogResponse implements the generated interface.
func (d document) VisitReadLogResponse(w http.ResponseWriter) error { return d.write(w) }

// pageOf is a page of items that are JSON already, with where to go on.
func pageOf(items []json.RawMessage, next any) (document, error) {
	if items == nil {
		items = []json.RawMessage{}
	}
	page := map[string]any{"items": items}
	if next != nil {
		page["next"] = next
	}
	body, err := json.Marshal(page)
	return document{body: body}, err
}
