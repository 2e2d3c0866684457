package controllers_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
)

const (
	crashTime = 30 * time.Minute
	faultTime = 20 * time.Minute
)

// faultSeed is FAULT_SEED, or a new one; it is printed, so that a run can be repeated.
func faultSeed() uint64 {
	seed := rand.Uint64N(1 << 32)
	if given := os.Getenv("FAULT_SEED"); given != "" {
		parsed, err := strconv.ParseUint(given, 10, 64)
		Expect(err).NotTo(HaveOccurred(), "FAULT_SEED must be a number")
		seed = parsed
	}
	fmt.Printf("\nFAULT_SEED=%d\n", seed)
	return seed
}

// faultSeconds is FAULT_SECONDS: how long the storm lasts at least; `make soak` sets it.
func faultSeconds() time.Duration {
	return time.Duration(environmentNumber("FAULT_SECONDS", 0)) * time.Second
}

// storm is a world in which everything fails by chance, and what should have become of it.
type storm struct {
	*world
	chance   *dice
	proxy    *proxy
	clock    atomic.Int64 // by how much the host's clock is ahead
	serves   atomic.Pointer[tls.Certificate]
	good     tls.Certificate
	expired  tls.Certificate
	clients  *issued
	objects  []*v1alpha1.TokenProcedure
	expected map[string][]string
	kinds    map[string]int
}

// newStorm makes a world whose roads, to the host and to the API server, are rough.
func newStorm(ctx SpecContext, rough *rough) *storm {
	GinkgoHelper()
	s := &storm{chance: rough.chance, expected: map[string][]string{}, kinds: map[string]int{}, clients: issue(nil, now().Add(12*time.Hour))}
	s.world = newWorld(ctx, func(o *hosttest.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }
	})
	s.api = rough.wrap(restConfig)
	s.good, s.expired = s.clients.signed(now().Add(12*time.Hour)), s.clients.signed(now().Add(-time.Hour))
	s.serves.Store(&s.good)
	trusted := x509.NewCertPool()
	trusted.AddCert(s.clients.certificate)
	s.proxy = newProxy(s.world, s.chance.choose, func(config *tls.Config) {
		config.ClientCAs, config.Certificates = trusted, nil
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.serves.Load(), nil }
	})
	host := s.cmHost()
	host.Spec.URL = s.proxy.URL
	create(ctx, s.rotated(), host)
	return s
}

// signed is a certificate of the storm's own CA, valid until a time.
func (i *issued) signed(until time.Time) tls.Certificate { return issue(i, until).pair() }

// rotated is the Secret with a client certificate that was never used before.
func (s *storm) rotated() *corev1.Secret {
	secret := s.secret(issue(s.clients, now().Add(12*time.Hour)).pem())
	secret.Data["ca.crt"] = s.clients.pem().Certificate
	return secret
}

// approve has both officers sign what an object stands for.
func (s *storm) approve(ctx SpecContext, object *v1alpha1.TokenProcedure) {
	GinkgoHelper()
	s.expected[object.Name] = append(s.expected[object.Name], s.digest(object))
	create(ctx, s.signature(object, s.one), s.signature(object, s.two))
}

// next signs the next revision of some procedure, once the one before it is at the host.
func (s *storm) next(ctx SpecContext) {
	GinkgoHelper()
	at := s.chance.pick(len(s.objects))
	s.eventuallyWithin(ctx, s.objects[at].Name, synced, stormPatience)
	s.objects[at] = s.change(ctx, s.objects[at].Name, func(o *v1alpha1.TokenProcedure) {
		next := *o.Spec.Revision + 1
		o.Spec.Revision = &next
		o.Spec.Procedure.PINProcedure = v1alpha1.Name([]string{"PIN letter", "User PIN"}[next%2])
	})
	s.approve(ctx, s.objects[at])
}

// patchAll has another writer patch every object.
func (s *storm) patchAll(ctx SpecContext, patch string, status bool) {
	GinkgoHelper()
	for _, object := range s.objects {
		patched, raw := &v1alpha1.TokenProcedure{ObjectMeta: object.ObjectMeta}, client.RawPatch(types.MergePatchType, []byte(patch))
		if status {
			Expect(k8s.Status().Patch(ctx, patched, raw)).To(Succeed())
		} else {
			Expect(k8s.Patch(ctx, patched, raw)).To(Succeed())
		}
	}
}

// event lets one thing happen.
func (s *storm) event(ctx SpecContext) {
	GinkgoHelper()
	events := []struct {
		what string
		do   func()
	}{
		{"host restarted", func() { Expect(s.host.Restart()).To(Succeed()) }},
		{"host down for a while", func() {
			Expect(s.host.Stop()).To(Succeed())
			<-time.After(time.Duration(s.chance.pick(2000)) * time.Millisecond)
			Expect(s.host.Restart()).To(Succeed())
		}},
		{"operator restarted", func() { s.stop(); s.start() }},
		{"somebody else writes metadata", func() {
			s.patchAll(ctx, fmt.Sprintf(`{"metadata":{"annotations":{"storm":"%d"}}}`, s.chance.pick(1<<30)), false)
		}},
		{"somebody else writes status", func() {
			s.patchAll(ctx, `{"status":{"conditions":[],"host":null,"request":{"revision":9,"digest":"sha256:`+strings.Repeat("0", 64)+`"}}}`, true)
		}},
		{"host's certificate expires for a while", func() {
			s.serves.Store(&s.expired)
			Expect(s.host.Restart()).To(Succeed())
			<-time.After(time.Duration(s.chance.pick(1000)) * time.Millisecond)
			s.serves.Store(&s.good)
		}},
		{"client certificate rotated", func() { Expect(k8s.Update(ctx, s.rotated())).To(Succeed()) }},
		{"host's clock jumps", func() { s.clock.Store(int64(s.chance.pick(240)-120) * int64(time.Second)) }},
	}
	if faultSeconds() > 0 { // it takes some seconds
		events = append(events, struct {
			what string
			do   func()
		}{"API server and etcd restarted", restartControlPlane})
	}
	at := s.chance.pick(len(events) * 3)
	if at >= len(events) {
		s.kinds["revision signed"]++
		s.next(ctx)
		return
	}
	s.kinds[events[at].what]++
	events[at].do()
}

// stormPatience is how long a change may need in a storm: some pauses are 30 s.
const stormPatience = 3 * time.Minute

func afterLong() <-chan time.Time { return time.After(2 * time.Minute) }

func keysOf[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

var _ = Describe("a storm of faults", Label("slow"), func() {
	It("loses nothing, doubles nothing, and ends with a true status", func(ctx SpecContext) {
		const procedures = 40
		rounds, lasts := 12, faultSeconds()
		seed := faultSeed()
		rough := newRough(newDice(seed))
		s := newStorm(ctx, rough)
		s.start()
		s.chance.chance.Store(25)
		began := now()
		for i := range procedures {
			object := s.procedure(fmt.Sprintf("s%03d", i), 1)
			if i%4 == 0 {
				closes(object)
			}
			create(ctx, object)
			s.objects = append(s.objects, object)
			s.approve(ctx, object)
		}
		for round := 0; round < rounds || time.Since(began) < lasts; round++ {
			s.event(ctx)
		}
		for _, object := range s.objects {
			s.eventuallyWithin(ctx, object.Name, synced, stormPatience)
		}
		s.chance.chance.Store(0)
		s.clock.Store(0)
		calls, faults := s.proxy.total()
		revisions := 0
		for _, digests := range s.expected {
			revisions += len(digests)
		}
		fmt.Printf("\nseed %d: %v, %d procedures with %d revisions, %d calls to the host of which %d failed %v; API server: %v; events %v\n",
			seed, time.Since(began).Round(time.Second), procedures, revisions, calls, faults, s.proxy.kinds(), rough.counts, s.kinds)
		Expect(faults).To(BeNumerically(">", calls/20), "one call in four is meant to fail")
		Expect(s.proxy.count("PUT token-procedures/{name}")).To(BeNumerically("<", 12*revisions), "retries are bounded")
		s.comesToRest(ctx)
		s.agrees(ctx, s.expected)
	}, SpecTimeout(faultTime+faultSeconds()))
})

// comesToRest waits until everything is as it should be, and checks that then nothing happens any more.
func (s *storm) comesToRest(ctx SpecContext) {
	GinkgoHelper()
	Eventually(func() string { return reasonOf(s.currentHost(ctx)) }).WithTimeout(time.Minute).WithPolling(polling).Should(Equal("Connected"), "a pause is at most 30 s")
	for _, object := range s.objects {
		for _, officer := range []string{"officer-1", "officer-2"} {
			s.eventuallySignature(ctx, fmt.Sprintf("%s-r%d-%s", object.Name, *object.Spec.Revision, officer), map[string]string{"Ready": "True Counted"})
		}
	}
	Eventually(func() int64 { return *s.eventuallyHost(ctx, "Connected").Status.Log.Length }).WithTimeout(2 * waiting).Should(Equal(s.logLength(ctx)))
	last := -1
	Eventually(func() (more int) {
		calls, _ := s.proxy.total()
		more, last = calls-last, calls
		return more
	}).WithTimeout(time.Minute).WithPolling(3*time.Second).Should(BeNumerically("<=", 1), "nothing is asked while nothing changes")
}
