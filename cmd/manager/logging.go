package main

import (
	"context"
	"io"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// newHandler writes a log for programs to read.
func newHandler(into io.Writer, level slog.Level) slog.Handler {
	return calm{slog.NewJSONHandler(into, &slog.HandlerOptions{Level: level})}
}

// calm takes for no error what is none: a namespace that is being deleted admits no event, and nobody would read it.
type calm struct{ slog.Handler }

// Handle implements slog.Handler.
func (c calm) Handle(ctx context.Context, record slog.Record) error {
	if record.Level < slog.LevelError || !namespaceEnds(record) {
		return c.Handler.Handle(ctx, record)
	}
	if !c.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	quieter := slog.NewRecord(record.Time, slog.LevelDebug, record.Message, record.PC)
	record.Attrs(func(attribute slog.Attr) bool {
		quieter.AddAttrs(attribute)
		return true
	})
	return c.Handler.Handle(ctx, quieter)
}

// namespaceEnds tells whether an error is the API server's refusal to create anything in a namespace that is being deleted.
func namespaceEnds(record slog.Record) (ends bool) {
	record.Attrs(func(attribute slog.Attr) bool {
		err, ok := attribute.Value.Any().(error)
		ends = ok && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
		return !ends
	})
	return ends
}

// WithAttrs implements slog.Handler.
func (c calm) WithAttrs(attributes []slog.Attr) slog.Handler {
	return calm{c.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name)} }
