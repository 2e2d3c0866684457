package server

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/admission"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

// submissions reads the body of a submission strictly, which the generated code does not, and leaves all else to it.
type submissions struct {
	cmhostv1.ServerInterface
	api *api
}

// PutTokenProcedure implements the contract.
func (s submissions) PutTokenProcedure(w http.ResponseWriter, r *http.Request, name string) {
	if err := s.put(w, r, name); err != nil {
		s.api.server.refuse(w, r, err)
	}
}

func (s submissions) put(w http.ResponseWriter, r *http.Request, name string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return problem.New(cmhostv1.ProblemTooLarge, "the body has more than %d bytes", MaxBody)
	}
	if err != nil {
		return problem.New(cmhostv1.ProblemMalformed, "the body could not be read to its end")
	}
	submission, refused := parseBody(body)
	if refused != nil {
		return refused
	}
	answer, err := s.api.PutTokenProcedure(r.Context(), cmhostv1.PutTokenProcedureRequestObject{Name: name, Body: &submission})
	if err != nil {
		return err
	}
	return answer.VisitPutTokenProcedureResponse(w)
}

// parseBody refuses a body that is not an object with exactly the members of the contract, each once, in base64.
func parseBody(body []byte) (submission cmhostv1.Submission, refused *problem.Error) {
	if err := json.Unmarshal(body, &submission, json.RejectUnknownMembers(true), json.WithUnmarshalers(strictBase64)); err != nil {
		return submission, problem.New(cmhostv1.ProblemMalformed, "the body is not an object with a request in base64 and a list of signatures in base64: %s", err)
	}
	for name, found := range map[string]bool{"request": submission.Request != nil, "signatures": submission.Signatures != nil} {
		if !found {
			return submission, problem.New(cmhostv1.ProblemMalformed, "the body has no %s", name).At("/"+name, "required")
		}
	}
	return submission, nil
}

// strictBase64 refuses bits behind the last byte: other texts for the same bytes.
var strictBase64 = json.UnmarshalFromFunc(func(from *jsontext.Decoder, into *[]byte) error {
	if from.PeekKind() != jsontext.KindString {
		return errors.ErrUnsupported // as without this function
	}
	token, err := from.ReadToken()
	if err != nil {
		return err
	}
	text := token.String()
	if strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return errors.New("line breaks in base64")
	}
	*into, err = base64.StdEncoding.Strict().DecodeString(text)
	return err
})

// PutTokenProcedure implements the contract.
func (a *api) PutTokenProcedure(ctx context.Context, call cmhostv1.PutTokenProcedureRequestObject) (cmhostv1.PutTokenProcedureResponseObject, error) {
	noted(ctx).name = call.Name
	policy, err := a.store().RecentPolicy(ctx)
	if err != nil {
		return nil, err
	}
	arrived := a.store().Expect()
	defer arrived()
	submission, refused := admission.Read(call.Name, *call.Body, admission.Host{
		Audience: a.server.config.Audience, MaxSignatureAge: a.server.config.MaxSignatureAge,
		Register: policy.Register, Now: instant(a.server.config.Now()),
	})
	if refused != nil {
		return nil, refused
	}
	noted(ctx).revision, noted(ctx).digest = submission.Request.Revision, submission.Digest
	arrived()
	var made decided
	err = a.store().Update(ctx, func(txCtx context.Context, tx *store.Tx) (err error) {
		made, err = a.decide(txCtx, tx, submission)
		return err
	})
	if err != nil {
		return nil, err
	}
	noted(ctx).outcome, noted(ctx).officers = made.outcome, made.officers
	return made.answer, nil
}

// decided is what became of a submission that was not refused.
type decided struct {
	answer   cmhostv1.PutTokenProcedureResponseObject
	outcome  string
	officers []string
}

// decide judges a submission and stores it, all in one transaction. The call may have ended before: it must not touch
// anything of it.
func (a *api) decide(ctx context.Context, tx *store.Tx, s admission.Submission) (decided, error) {
	if audience := tx.Audience(); audience != "" && audience != s.Request.Audience {
		return decided{}, problem.New(cmhostv1.ProblemUnavailable, "this host is set up for another audience than its database: have its administrator correct that")
	}
	current, err := tx.Current(ctx, s.Request.Procedure.Name)
	if err != nil {
		return decided{}, err
	}
	policy := tx.Policy()
	decision, refused := admission.Decide(s, admission.Facts{
		Current: current, Register: policy.Register, Catalog: &policy.Catalog,
		MaxSignatureAge: a.server.config.MaxSignatureAge, Now: instant(a.server.config.Now()),
	})
	if refused != nil {
		return decided{}, refused
	}
	if decision.Already {
		stored, err := tx.Procedure(ctx, s.Request.Procedure.Name)
		if err != nil {
			return decided{}, err
		}
		return decided{answer: cmhostv1.PutTokenProcedure200JSONResponse(*stored), outcome: "already"}, nil
	}
	if err := tx.PutProcedure(ctx, decision.Entry, decision.Summary, s.Request.Audience); err != nil {
		return decided{}, err
	}
	made := decided{answer: cmhostv1.PutTokenProcedure201JSONResponse(*store.Accepted(decision.Entry, s.Request.Procedure)), outcome: "accepted"}
	for _, signer := range decision.Summary.Signers {
		made.officers = append(made.officers, signer.Officer.Id)
	}
	return made, nil
}
