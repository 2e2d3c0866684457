package cmclient

import (
	"context"
	"iter"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// resultOK is the result of a call that was answered as it should be.
const resultOK = "ok"

// operations are what a connection calls, by the operationIds of the interface, each with the refusals that it can get
// beside that of a client without permission; nil for a submission, which can get each.
var operations = map[string][]string{
	"getHost":                  {},
	"listOfficers":             {},
	"getCatalog":               {},
	"listTokenProcedures":      {},
	"getTokenProcedure":        {ProblemNotFound},
	"getTokenProcedureHistory": {ProblemNotFound},
	"readLog":                  {},
	watchChanges:               {ProblemCursorGone},
	"putTokenProcedure":        nil,
}

const watchChanges = "watchChanges"

// Outcomes are the operations that a connection calls with the results that a call can have, so that a counter can begin
// with them. Only a host that breaks its contract makes others.
func Outcomes() iter.Seq2[string, string] {
	return func(yield func(operation, result string) bool) {
		for operation, refusals := range operations {
			results := append([]string{resultOK, v1alpha1.ReasonUnreachable, v1alpha1.ReasonTLSRefused, ProblemClientNotPermitted}, refusals...)
			if refusals == nil {
				for refusal := range refusalTypes {
					results = append(results, refusal)
				}
			}
			for _, result := range slices.Compact(slices.Sorted(slices.Values(results))) {
				if !yield(operation, result) {
					return
				}
			}
		}
	}
}

// traced begins the span of a call, if anybody follows traces; end ends it with the call's result. What is said in either
// direction stays out of it. The feed has no spans: nobody waits for it.
func traced(ctx context.Context, operation string) (_ context.Context, end func(result string)) {
	if operation == watchChanges {
		return ctx, func(string) {}
	}
	ctx, span := otel.Tracer("github.com/tokenprocedures/token-procedure-operator/internal/cmclient").Start(ctx, "cmhost "+operation,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("cmhost.operation", operation)))
	return ctx, func(result string) {
		span.SetAttributes(attribute.String("cmhost.result", result))
		if result != resultOK {
			span.SetStatus(codes.Error, result)
		}
		span.End()
	}
}

// propagate tells the host which trace a call belongs to, if anybody follows traces.
func propagate(ctx context.Context, request *http.Request) error {
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(request.Header))
	return nil
}
