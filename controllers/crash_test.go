package controllers_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// deadline is a point in the flow of one procedure at which the operator is killed: just before an effect, or after it
// and before its answer is heard.
type deadline struct {
	procedure string
	effect    string // as effectOf calls it
	after     bool
}

// reaper kills an operator at deadlines: from then on nothing of it reaches the API server or the host.
type reaper struct {
	mu        sync.Mutex
	deadlines map[deadline]bool // not reached yet
	dead      bool
	killed    chan deadline
}

func newReaper() *reaper {
	return &reaper{deadlines: map[deadline]bool{}, killed: make(chan deadline, 1)}
}

var errKilled = errors.New("the operator is dead")

// allow tells whether an effect reaches its server. after tells that it is the last that does, unheard.
func (r *reaper) allow(procedure, effect string) (reaches, after bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return false, false
	}
	for _, after := range []bool{false, true} {
		at := deadline{procedure, effect, after}
		if r.deadlines[at] {
			delete(r.deadlines, at)
			r.dead = true
			r.killed <- at
			return after, after
		}
	}
	return true, false
}

func (r *reaper) revive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = false
}

func (r *reaper) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.deadlines)
}

// choose is the reaper at the host's side.
func (r *reaper) choose(request *http.Request) fault {
	procedure, effect := "", "read"
	if request.Method == http.MethodPut {
		effect = "submit"
		name, err := url.PathUnescape(strings.TrimPrefix(request.URL.EscapedPath(), "/v1/token-procedures/"))
		if err == nil {
			procedure = name
		}
	}
	switch reaches, after := r.allow(procedure, effect); {
	case !reaches:
		return faultReset
	case after:
		return faultLost
	}
	return faultNone
}

// wrap is the reaper at the API server's side.
func (r *reaper) wrap(config *rest.Config) *rest.Config {
	wrapped := rest.CopyConfig(config)
	wrapped.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.Method == http.MethodGet {
				return next.RoundTrip(request)
			}
			reaches, after := r.allow(effectOf(request))
			if !reaches {
				return nil, errKilled
			}
			response, err := next.RoundTrip(request)
			if after && err == nil {
				return nil, errors.Join(errKilled, response.Body.Close())
			}
			return response, err
		})
	})
	return wrapped
}

// effectOf names the procedure and the effect of a write to the API server.
func effectOf(r *http.Request) (procedure, effect string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 7 {
		return "", "other"
	}
	procedure, _, _ = strings.Cut(parts[6], "-r")
	return procedure, strings.Join(append([]string{parts[5]}, parts[7:]...), "/")
}

var _ = Describe("a manager that is killed", Label("slow"), func() {
	It("at any step of any procedure leaves nothing lost and nothing doubled", func(ctx SpecContext) {
		const procedures = 200
		seed := faultSeed()
		chance := newDice(seed)
		w := newWorld(ctx)
		reaper := newReaper()
		road := newProxy(w, reaper.choose)
		host := w.cmHost()
		host.Spec.URL = road.URL
		create(ctx, w.secret(w.host.Submitter), host)

		// Every third procedure has the policy Close, and is deleted with its closing request signed: all effects occur.
		var objects []*v1alpha1.TokenProcedure
		for i := range procedures {
			object := w.procedure(fmt.Sprintf("p%03d", i), 1)
			effects := []string{"submit", "tokenprocedures/status", "proceduresignatures/status"}
			if i%3 == 0 {
				closes(object)
				effects = append(effects, "tokenprocedures")
			}
			create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
			objects = append(objects, object)
			reaper.deadlines[deadline{object.Name, effects[i%len(effects)], chance.pick(2) == 0}] = true
		}
		kills := w.survive(reaper)
		for i, object := range objects {
			w.eventually(ctx, object.Name, synced)
			if i%3 != 0 {
				continue
			}
			create(ctx, w.signatureOf(object, w.closing(object), w.one, now()), w.signatureOf(object, w.closing(object), w.two, now()))
			reaper.mu.Lock()
			reaper.deadlines[deadline{object.Name, []string{"submit", "tokenprocedures"}[chance.pick(2)], chance.pick(2) == 0}] = true
			reaper.mu.Unlock()
		}
		w.stop()
		for i, object := range objects {
			if i%3 == 0 {
				Expect(k8s.Delete(ctx, object)).To(Succeed())
			}
		}
		kills += w.survive(reaper)
		fmt.Printf("\nseed %d: %d procedures, %d kills\n", seed, procedures, kills)
		Expect(kills).To(BeNumerically(">=", procedures))

		expected := map[string][]string{}
		for i, object := range objects {
			first, err := w.requestOf(object).Digest()
			Expect(err).NotTo(HaveOccurred())
			expected[object.Name] = []string{first}
			if i%3 == 0 {
				w.eventuallyGone(ctx, &v1alpha1.TokenProcedure{ObjectMeta: object.ObjectMeta})
				second, err := w.closing(object).Digest()
				Expect(err).NotTo(HaveOccurred())
				expected[object.Name] = append(expected[object.Name], second)
			}
		}
		w.agrees(ctx, expected)
	}, SpecTimeout(crashTime))
})

// survive runs operators, one after the other, until every deadline is reached, and then one more. It returns how many died.
func (w *world) survive(reaper *reaper) (kills int) {
	GinkgoHelper()
	w.api = reaper.wrap(restConfig)
	for reaper.left() > 0 {
		w.start()
		select {
		case <-reaper.killed:
			kills++
		case <-afterLong():
			Fail(fmt.Sprintf("the flow never came to these points: %v", slices.Collect(keysOf(reaper.deadlines))))
		}
		w.stop()
		reaper.revive()
	}
	w.start()
	return kills
}

// agrees compares cluster, host and history object by object: every procedure that is expected has exactly these
// revisions in the host's history, in this order, and what the cluster says of the host is what the host says.
func (w *world) agrees(ctx SpecContext, expected map[string][]string) {
	GinkgoHelper()
	reader, err := w.host.Client(w.host.Reader)
	Expect(err).NotTo(HaveOccurred())
	for name, digests := range expected {
		history, err := reader.GetTokenProcedureHistoryWithResponse(ctx, name, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(history.JSON200).NotTo(BeNil(), name)
		var found []string
		for _, revision := range history.JSON200.Items {
			found = append(found, revision.Digest)
			Expect(revision.Signatures).To(HaveLen(2))
			Expect(revision.Signatures[0].Officer.Id).NotTo(Equal(revision.Signatures[1].Officer.Id))
		}
		Expect(found).To(Equal(digests), name)
		object := &v1alpha1.TokenProcedure{}
		if err := k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, object); client.IgnoreNotFound(err) != nil {
			Expect(err).NotTo(HaveOccurred())
		} else if err == nil {
			current := history.JSON200.Items[len(history.JSON200.Items)-1]
			Expect(invariants(object)).To(BeEmpty(), name)
			Expect(object.Status.Host.Digest).To(Equal(current.Digest), name)
			Expect(string(object.Status.Host.State)).To(Equal(current.Procedure.State), name)
		}
	}
}
