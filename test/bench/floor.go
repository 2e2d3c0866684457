package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// floorWorkers is how many procedures, and how many signatures, the floor writes at once: as many as the operator.
const floorWorkers = 16

func clientCodecs(scheme *runtime.Scheme) serializer.CodecFactory {
	return serializer.NewCodecFactory(scheme)
}

// floor is a bare client: it reads nothing, decides nothing, and writes what must be written, from bytes made before.
type floor struct {
	api                  rest.Interface
	host                 *cmhostv1.Client
	procedure, signature []byte // the statuses that the operator wrote, as a pattern
}

// learn takes what the operator wrote as the pattern of what the floor writes.
func (f *floor) learn(ctx context.Context, reader client.Reader, made *signedProcedure) error {
	procedure, signature := &v1alpha1.TokenProcedure{}, &v1alpha1.ProcedureSignature{}
	if err := reader.Get(ctx, client.ObjectKeyFromObject(made.procedure), procedure); err != nil {
		return err
	}
	if err := reader.Get(ctx, client.ObjectKeyFromObject(made.signatures[0]), signature); err != nil {
		return err
	}
	var failures [2]error
	f.procedure, failures[0] = json.Marshal(procedure.Status)
	f.signature, failures[1] = json.Marshal(signature.Status)
	return errors.Join(failures[:]...)
}

// apply writes one status, as the operator does.
func (f *floor) apply(ctx context.Context, kind, resource string, object client.Object, status []byte) error {
	body := fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q,"uid":%q},"status":%s}`,
		v1alpha1.GroupVersion, kind, object.GetName(), object.GetNamespace(), object.GetUID(), status)
	return f.api.Patch(types.ApplyPatchType).Namespace(object.GetNamespace()).Resource(resource).Name(object.GetName()).SubResource("status").
		Param("fieldManager", "token-procedure-operator").Param("force", "true").Body(body).Do(ctx).Error()
}

func (f *floor) put(ctx context.Context, m *signedProcedure) (err error) {
	response, err := f.host.PutTokenProcedure(ctx, m.name, m.submission)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("the host answered %s: %s", response.Status, body)
	}
	return err
}

// procedureDone brings one procedure to the host and reports it.
func (f *floor) procedureDone(ctx context.Context, m *signedProcedure) error {
	if err := f.put(ctx, m); err != nil {
		return err
	}
	return f.apply(ctx, "TokenProcedure", "tokenprocedures", m.procedure, f.procedure)
}

// all makes the writes for all procedures and says how long that took.
func (f *floor) all(ctx context.Context, all []*signedProcedure) (time.Duration, error) {
	started := time.Now()
	var procedures, signatures error
	var running sync.WaitGroup
	running.Go(func() {
		procedures = parallel(floorWorkers, len(all), func(i int) error { return f.procedureDone(ctx, all[i]) })
	})
	running.Go(func() {
		signatures = parallel(floorWorkers, 2*len(all), func(i int) error {
			return f.apply(ctx, "ProcedureSignature", "proceduresignatures", all[i/2].signatures[i%2], f.signature)
		})
	})
	running.Wait()
	return time.Since(started), errors.Join(procedures, signatures)
}

// parallel does something for every number below count with some workers, and stops at the first error of each.
func parallel(workers, count int, do func(i int) error) error {
	failures := make([]error, workers)
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			for i := worker; i < count && failures[worker] == nil; i += workers {
				failures[worker] = do(i)
			}
		})
	}
	running.Wait()
	return errors.Join(failures...)
}
