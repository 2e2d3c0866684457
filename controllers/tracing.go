package controllers

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// traced makes a span of each reconcile, if anybody follows traces; the calls to the CM host that it makes are its
// children. A span names the object and says nothing of what is in it.
func traced(kind string, next reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
		ctx, span := otel.Tracer("github.com/tokenprocedures/token-procedure-operator/controllers").Start(ctx, "reconcile "+kind, trace.WithAttributes(
			attribute.String("k8s.namespace.name", req.Namespace), attribute.String("k8s."+strings.ToLower(kind)+".name", req.Name)))
		defer span.End()
		result, err := next.Reconcile(ctx, req)
		if err != nil {
			span.SetStatus(codes.Error, "the reconcile failed: the log says why")
		}
		return result, err
	})
}
