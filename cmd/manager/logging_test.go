package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAnEventThatATerminatingNamespaceRefusesIsNoError(t *testing.T) {
	events := schema.GroupResource{Group: "events.k8s.io", Resource: "events"}
	terminating := apierrors.NewForbidden(events, "x", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = append(terminating.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	for sentence, c := range map[string]struct {
		err     error
		verbose bool
		level   string // of what is logged; nothing if empty
	}{
		"a terminating namespace":                  {terminating, false, ""},
		"a terminating namespace, told in detail":  {terminating, true, "DEBUG"},
		"a terminating namespace, wrapped":         {fmt.Errorf("create: %w", terminating), true, "DEBUG"},
		"a role that does not let events be made":  {apierrors.NewForbidden(events, "x", errors.New("no")), false, "ERROR"},
		"an error that is not of the API server's": {errors.New("broken"), false, "ERROR"},
	} {
		t.Run(sentence, func(t *testing.T) {
			level := slog.LevelInfo
			if c.verbose {
				level = slog.LevelDebug
			}
			var log bytes.Buffer
			logr.FromSlogHandler(newHandler(&log, level)).WithName("events").WithValues("a", 1).Error(c.err, "Server rejected event (will not retry!)", "event", "e")
			if c.level == "" && log.Len() > 0 || c.level != "" && !strings.Contains(log.String(), fmt.Sprintf("%q:%q", "level", c.level)) {
				t.Errorf("logged %q; expected the level %q", log.String(), c.level)
			}
			if c.level != "" && !strings.Contains(log.String(), `"err":"`) {
				t.Errorf("logged %q; expected the error in it", log.String())
			}
		})
	}
}
