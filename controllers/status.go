package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldOwner is the field manager of every status.
const FieldOwner = client.FieldOwner("token-procedure-operator")

// withStatus is what an object and its apply configuration have in common, as JSON.
type withStatus[S any] struct {
	Metadata metav1.ObjectMeta `json:"metadata,omitzero"`
	Status   S                 `json:"status"`
}

// applyStatus writes a status with one server-side apply. configuration identifies the object; replaced is the object
// with the status, for where somebody else has put fields there that an apply leaves alone.
func applyStatus[S any](ctx context.Context, writer client.StatusClient, configuration runtime.ApplyConfiguration, replaced client.Object, status S) error {
	replaced.SetManagedFields(nil) // those of the caches are not whole
	if err := convert(withStatus[S]{Status: status}, configuration); err != nil {
		return err
	}
	switch err := writer.Status().Apply(ctx, configuration, FieldOwner, client.ForceOwnership); {
	case apierrors.IsInvalid(err): // to take away what somebody else has changed leaves a null
		return writer.Status().Update(ctx, replaced, FieldOwner)
	case err != nil:
		return err
	}
	var written withStatus[S]
	if err := convert(configuration, &written); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(written.Status, status) {
		return nil
	}
	replaced.SetResourceVersion(written.Metadata.ResourceVersion)
	return writer.Status().Update(ctx, replaced, FieldOwner)
}

// convert goes from an API type to its apply configuration or back. Both have the same JSON.
func convert(from, to any) error {
	encoded, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("convert a status: %w", err)
	}
	if err := json.Unmarshal(encoded, to); err != nil {
		return fmt.Errorf("convert a status: %w", err)
	}
	return nil
}
