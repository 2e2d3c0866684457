package rules

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

const (
	randomCreates = 10_000
	randomUpdates = 1_500
	randomWorkers = 8
)

var seedFlag = flag.Uint64("seed", 0, "seed of the randomised tests; 0 for a new one")

// TestRandomCreates holds the API server and the evaluation in process against each other on generated objects, some
// good and most bad in several ways at once.
func TestRandomCreates(t *testing.T) {
	accepted := eachAtRandom(t, randomCreates, func(t *testing.T, random *rand.Rand, name string) bool {
		generated := named(randomProcedure(random), name)
		err := createDryRun(generated)
		expectSameVerdict(t, err, rules.ValidateCreate(generated), generated, nil)
		if err == nil {
			expectSignable(t, generated)
		}
		return err == nil
	})
	if accepted < randomCreates/10 || accepted > randomCreates*9/10 {
		t.Errorf("%d of %d were accepted: the generator no longer makes both good and bad objects", accepted, randomCreates)
	}
}

// TestRandomUpdates does the same for changes of objects that exist.
func TestRandomUpdates(t *testing.T) {
	accepted := eachAtRandom(t, randomUpdates, func(t *testing.T, random *rand.Rand, name string) bool {
		old := named(randomProcedure(random), name)
		for len(rules.ValidateCreate(old)) > 0 {
			old = named(randomProcedure(random), name)
		}
		stored := &unstructured.Unstructured{Object: clone(old)}
		if err := server.Create(context.Background(), stored); err != nil {
			t.Errorf("%v: %v", old, err)
			return false
		}
		changed := &unstructured.Unstructured{Object: clone(old)}
		mutate(random, changed.Object["spec"].(map[string]any), 1+random.IntN(3))
		if revision, has := changed.Object["spec"].(map[string]any)["revision"].(int64); has && random.IntN(2) == 0 {
			changed.Object["spec"].(map[string]any)["revision"] = revision + 1
		}
		findings := rules.ValidateUpdate(changed.Object, old)
		sent := changed.DeepCopy()
		sent.SetResourceVersion(stored.GetResourceVersion())
		err := server.Update(context.Background(), sent, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
		expectSameVerdict(t, err, findings, changed.Object, old)
		if err := server.Delete(context.Background(), stored); err != nil {
			t.Error(err)
		}
		return err == nil
	})
	if accepted < randomUpdates/10 || accepted > randomUpdates*9/10 {
		t.Errorf("%d of %d were accepted: the generator no longer makes both good and bad changes", accepted, randomUpdates)
	}
}

// eachAtRandom calls try count times, several at once, each with numbers that depend on the seed and its own turn only,
// and counts how often it was true.
func eachAtRandom(t *testing.T, count int, try func(t *testing.T, random *rand.Rand, name string) bool) int64 {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("again with: go test ./test/rules -run '^%s$' -seed %d", t.Name(), seed)
	var accepted atomic.Int64
	turns := make(chan uint64)
	var workers sync.WaitGroup
	for range randomWorkers {
		workers.Go(func() {
			for turn := range turns {
				if try(t, rand.New(rand.NewPCG(seed, turn)), fmt.Sprintf("random-%d", turn)) {
					accepted.Add(1)
				}
			}
		})
	}
	for turn := range uint64(count) {
		if t.Failed() {
			break
		}
		turns <- turn
	}
	close(turns)
	workers.Wait()
	t.Logf("%d of %d were accepted", accepted.Load(), count)
	return accepted.Load()
}

func expectSameVerdict(t *testing.T, err error, findings []finding, object, old map[string]any) {
	found, err := refusal(err)
	if err != nil {
		t.Error(err)
		return
	}
	if difference := differ(found, findings); difference != "" {
		t.Errorf("%s\nobject: %v\nbefore: %v", difference, object, old)
	}
}

// expectSignable: what the API server accepts and is no draft makes a request that the host finds no rule broken in.
func expectSignable(t *testing.T, object map[string]any) {
	var tp v1alpha1.TokenProcedure
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &tp); err != nil {
		t.Error(err)
		return
	}
	if tp.Spec.Draft != nil && *tp.Spec.Draft {
		return
	}
	signed := request.New("cm.local", *tp.Spec.Revision, request.FromV1alpha1(&tp.Spec.Procedure))
	if findings := rules.ValidateRequest(signed); len(findings) > 0 {
		t.Errorf("accepted, and the host refuses what officers sign: %+v\nobject: %v", findings, object)
	}
}

func named(object map[string]any, name string) map[string]any {
	object["metadata"].(map[string]any)["name"] = name
	return object
}

func randomProcedure(random *rand.Rand) map[string]any {
	object := procedureOf(pick(random, storageProfiles...))
	mutate(random, object["spec"].(map[string]any), random.IntN(6))
	return object
}

// mutate sets some fields of a spec to random values, good and bad, or takes them away.
func mutate(random *rand.Rand, spec map[string]any, times int) {
	for range times {
		field := randomFields[random.IntN(len(randomFields))]
		if random.IntN(4) == 0 {
			unset(field.path)(spec)
		} else {
			set(field.path, field.value(random))(spec)
		}
	}
}

var randomFields = []struct {
	path  string
	value func(*rand.Rand) any
}{
	{"cmHostRef", oneOf(map[string]any{"name": "local"}, map[string]any{"name": ""}, map[string]any{}, map[string]any{"name": "local", "kind": "CMHost"})},
	{"draft", oneOf(true, true, false, "true")},
	{"deletionPolicy", oneOf("", "Retain", "Close", "Delete")},
	{"revision", oneOf(int64(1), int64(2), int64(9007199254740991), int64(9007199254740992), int64(0), int64(-1), "1", 1.5)},
	{"procedure.name", randomName},
	{"procedure.state", oneOf("Active", "Closed", "", "active")},
	{"procedure.domain", randomName},
	{"procedure.visibleInSubdomain", oneOf(true, false)},
	{"procedure.storageProfile", oneOf("SmartCard", "PKCS12", "PKCS10", "AttributeCertificateFile", "Data", "", "PKCS11")},
	{"procedure.cardSerialNumber", oneOf(map[string]any{}, map[string]any{"enabled": false}, map[string]any{"range": map[string]any{}})},
	{"procedure.cardSerialNumber.enabled", oneOf(true, false, "no")},
	{"procedure.cardSerialNumber", randomSerials},
	{"procedure.cardSerialNumber.range.from", randomSerial},
	{"procedure.cardSerialNumber.range.to", randomSerial},
	{"procedure.pinProcedure", randomName},
	{"procedure.keyProcedures", randomNames},
	{"procedure.issuerCertificates", oneOf(map[string]any{}, map[string]any{"policy": "StoreNone"}, map[string]any{"policy": "StoreAll", "recoveredCertificates": "Store"})},
	{"procedure.issuerCertificates.policy", oneOf("StoreAll", "StoreNone", "StoreRoot", "StoreIssuingCA", "", "StoreSome")},
	{"procedure.issuerCertificates.recoveredCertificates", oneOf("Store", "DoNotStore", "", "Yes")},
	{"procedure.attributeCertificateProcedures", randomNames},
	{"procedure.certificateProcedures", randomNames},
	{"procedure.inputView", randomName},
	{"procedure.colour", oneOf("green")},
}

func pick[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

func oneOf(values ...any) func(*rand.Rand) any {
	return func(random *rand.Rand) any { return pick(random, values...) }
}

// randomName is mostly a good name; its letters have no other normal form, of which the API server knows nothing.
func randomName(random *rand.Rand) any {
	switch random.IntN(6) {
	case 0:
		return pick[any](random, "", " a", "a ", "a/b", "a\u202eb", "a\n", ".", int64(7), strings.Repeat("𐐀", 128), strings.Repeat("a", 129))
	case 1:
		alphabet := []rune("aZ9äß社٣ ._,:+&()'-/\\\"\u200b\x1b")
		letters := make([]rune, random.IntN(12))
		for i := range letters {
			letters[i] = pick(random, alphabet...)
		}
		return string(letters)
	default:
		return pick(random, "Signature", "Authentication", "Dienstausweis Zürich", "A", "B")
	}
}

func randomNames(random *rand.Rand) any {
	if random.IntN(20) == 0 {
		return pick[any](random, "Signature", map[string]any{}, list(make([]string, 17)...))
	}
	entries := []any{}
	for range random.IntN(5) {
		entries = append(entries, randomName(random))
	}
	return entries
}

func randomSerial(random *rand.Rand) any {
	return pick[any](random, "0", "1", "9", "10", "99", "100", "99999999999999999999", "", "007", "x", "-1", "100000000000000000000", int64(5))
}

func randomSerials(random *rand.Rand) any {
	return map[string]any{"enabled": random.IntN(3) > 0, "range": map[string]any{"from": randomSerial(random), "to": randomSerial(random)}}
}
