package controllers_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// apiServer is where the API server is.
func apiServer() string {
	GinkgoHelper()
	api, err := url.Parse(restConfig.Host)
	Expect(err).NotTo(HaveOccurred())
	Expect(api.Host).NotTo(BeEmpty(), "expected the API server's address as a URL, found %q", restConfig.Host)
	return api.Host
}

// process is the operator as a process of its own.
type process struct {
	command *exec.Cmd
	probes  string
	log     *lockedBuffer
	ended   chan struct{} // closed when it has
	err     error
}

// lockedBuffer takes a log while somebody reads it.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// run starts the program for the world's namespace, by way of a road to the API server where one is given.
func (w *world) run(program string, api *road, flags ...string) *process {
	GinkgoHelper()
	kubeconfig := string(environment.KubeConfig)
	if api != nil {
		Expect(kubeconfig).To(ContainSubstring(apiServer()))
		kubeconfig = strings.ReplaceAll(kubeconfig, apiServer(), api.address)
	}
	path := filepath.Join(GinkgoTB().TempDir(), "kubeconfig")
	Expect(os.WriteFile(path, []byte(kubeconfig), 0o600)).To(Succeed())
	p := &process{probes: freeAddress(), log: &lockedBuffer{}, ended: make(chan struct{})}
	flags = append([]string{"-namespaces=" + w.namespace, "-health-probe-bind-address=" + p.probes, "-kubeconfig=" + path}, flags...)
	p.command = exec.Command(program, flags...)
	p.command.Stderr = p.log
	Expect(p.command.Start()).To(Succeed())
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	DeferCleanup(p.kill)
	return p
}

// kill ends the process at once and waits for its end.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
}

// terminate ends the process as the kubelet does, and tells how long that took.
func (p *process) terminate() time.Duration {
	GinkgoHelper()
	began := time.Now()
	Expect(p.command.Process.Signal(syscall.SIGTERM)).To(Succeed())
	Eventually(p.ended).WithTimeout(40 * time.Second).Should(BeClosed())
	return time.Since(began)
}

func (p *process) ready() error { return (&operator{probes: p.probes}).ready() }

// road leads to the API server, until it is cut.
type road struct {
	address string
	// dead lets nothing pass, and lets nobody know.
	dead atomic.Bool

	mu   sync.Mutex
	ways map[net.Conn]bool
}

// newRoad leads to the API server.
func newRoad() *road {
	GinkgoHelper()
	api := apiServer()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	r := &road{address: listener.Addr().String(), ways: map[net.Conn]bool{}}
	DeferCleanup(func() {
		_ = listener.Close()
		r.cut()
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", api)
			if err != nil {
				_ = near.Close()
				continue
			}
			r.mu.Lock()
			r.ways[near], r.ways[far] = true, true
			r.mu.Unlock()
			go r.carry(near, far)
			go r.carry(far, near)
		}
	}()
	return r
}

func (r *road) carry(from, to net.Conn) {
	_, _ = io.Copy(unless{to, &r.dead}, from) // ends with either side
	_, _ = from.Close(), to.Close()
}

// unless swallows what is written while something holds.
type unless struct {
	io.Writer
	holds *atomic.Bool
}

func (u unless) Write(p []byte) (int, error) {
	if u.holds.Load() {
		return len(p), nil
	}
	return u.Writer.Write(p)
}

// cut breaks every connection.
func (r *road) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for way := range r.ways {
		_ = way.Close()
		delete(r.ways, way)
	}
}

// executioner kills a process at a submission: before the host hears of it, after it and before its answer, or a while after.
type executioner struct {
	chance *dice
	mu     sync.Mutex
	victim *process
	in     int // submissions that are still let through
	kills  map[string]int
}

func (e *executioner) condemn(victim *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.victim, e.in = victim, e.chance.pick(4)
}

func (e *executioner) choose(r *http.Request) fault {
	if r.Method != http.MethodPut {
		return faultNone
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.victim == nil {
		return faultNone
	}
	if e.in--; e.in >= 0 {
		return faultNone
	}
	victim := e.victim
	e.victim = nil
	switch e.chance.pick(3) {
	case 0:
		e.kills["before a submission is heard"]++
		victim.kill()
		return faultReset
	case 1:
		e.kills["before the answer to a submission"]++
		victim.kill()
		return faultLost
	default:
		e.kills["a while after a submission"]++
		delay := time.Duration(e.chance.pick(60)) * time.Millisecond
		time.AfterFunc(delay, victim.kill)
		return faultNone
	}
}

// endsWithin is how soon the program ends when it is told to, although the API server does not answer: 5 s for what is under
// way and 10 s for the lease, at most, and the start of a second on a busy machine.
const endsWithin = 16 * time.Second

// program is the operator as a program, built once.
func program() string {
	GinkgoHelper()
	path, err := built()
	Expect(err).NotTo(HaveOccurred())
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildFolder, "manager")
	if output, err := exec.Command("go", "build", "-o", path, "../cmd/manager").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the manager: %w: %s", err, output)
	}
	return path, nil
})

var _ = Describe("the program", Label("slow"), func() {
	It("that is killed again and again leaves nothing lost and nothing doubled", func(ctx SpecContext) {
		kills, procedures := environmentNumber("KILLS", 10), environmentNumber("KILL_PROCEDURES", 50)
		seed := faultSeed()
		w := newWorld(ctx)
		axe := &executioner{chance: newDice(seed), kills: map[string]int{}}
		proxied := newProxy(w, axe.choose)
		host := w.cmHost()
		host.Spec.URL = proxied.URL
		create(ctx, w.secret(w.host.Submitter), host)
		expected := map[string][]string{}
		made := 0
		more := func(count int) {
			for ; count > 0 && made < procedures; count-- {
				object := w.procedure(fmt.Sprintf("k%03d", made), 1)
				if made%3 == 0 {
					closes(object)
				}
				create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
				expected[object.Name] = []string{w.digest(object)}
				made++
			}
		}
		for range kills {
			more(max(4, procedures/kills))
			victim := w.run(program(), nil)
			axe.condemn(victim)
			Eventually(victim.ended).WithTimeout(time.Minute).WithPolling(polling).Should(BeClosed(), victim.log)
			Expect(victim.command.ProcessState.Sys().(syscall.WaitStatus).Signal()).To(Equal(syscall.SIGKILL), victim.log)
			if made == procedures { // what was submitted is not submitted again: there is always something to do
				procedures += 4
			}
		}
		more(procedures)
		last := w.run(program(), nil)
		for name := range expected {
			w.eventuallyWithin(ctx, name, synced, time.Minute)
		}
		fmt.Printf("\nseed %d: %d procedures, killed %d times: %v\n", seed, made, kills, axe.kills)
		w.agrees(ctx, expected)
		Expect(last.terminate()).To(BeNumerically("<", 5*time.Second))
		Expect(last.err).NotTo(HaveOccurred(), last.log)
		Expect(last.log.String()).NotTo(ContainSubstring("panic"))
	}, SpecTimeout(crashTime))

	It("that leads and is killed is followed by its standby", func(ctx SpecContext) {
		const gap = 5 * time.Second
		deaths := environmentNumber("KILLS", 12) / 4
		seed := faultSeed()
		w := newWorld(ctx)
		axe := &executioner{chance: newDice(seed), kills: map[string]int{}}
		proxied := newProxy(w, axe.choose)
		host := w.cmHost()
		host.Spec.URL = proxied.URL
		create(ctx, w.secret(w.host.Submitter), host)
		expected := map[string][]string{}
		made := func(name string) {
			object := w.procedure(name, 1)
			create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
			expected[name] = []string{w.digest(object)}
		}
		elect := []string{"-leader-elect", "-leader-election-namespace=" + w.namespace, "-lease-duration=" + gap.String()}
		leader := w.run(program(), nil, elect...)
		made("first")
		w.eventually(ctx, "first", synced)
		var gaps []time.Duration
		for death := range deaths {
			standby := w.run(program(), nil, elect...)
			Eventually(standby.ready).WithTimeout(waiting).Should(Succeed(), "a standby with full caches is ready")
			axe.condemn(leader)
			for i := range 8 {
				made(fmt.Sprintf("d%02d-%d", death, i))
			}
			Eventually(leader.ended).WithTimeout(time.Minute).WithPolling(polling).Should(BeClosed(), leader.log)
			died, next := now(), fmt.Sprintf("d%02d-next", death)
			made(next)
			w.eventuallyWithin(ctx, next, synced, time.Minute)
			gaps, leader = append(gaps, now().Sub(died).Round(time.Millisecond)), standby
		}
		for name := range expected {
			w.eventuallyWithin(ctx, name, synced, time.Minute)
		}
		fmt.Printf("\nseed %d: %d procedures, leaders killed %v, with a lease duration of %v the next procedure was synced after %v\n", seed, len(expected), axe.kills, gap, gaps)
		w.agrees(ctx, expected)
		Expect(slices.Max(gaps)).To(BeNumerically("<", 3*gap), "a busy machine needs longer than a quiet one")
	}, SpecTimeout(crashTime))

	It("gives its lease back when it is told to end, and ends soon when nobody answers", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		elect := []string{"-leader-elect", "-leader-election-namespace=" + w.namespace}
		holder := func() string {
			var leases coordinationv1.LeaseList
			Expect(k8s.List(ctx, &leases, client.InNamespace(w.namespace))).To(Succeed())
			for _, lease := range leases.Items {
				if lease.Spec.HolderIdentity != nil {
					return *lease.Spec.HolderIdentity
				}
			}
			return ""
		}
		first := w.run(program(), nil, elect...)
		Eventually(holder).WithTimeout(waiting).ShouldNot(BeEmpty(), first.log)
		object := w.procedure("card", 1)
		w.accepted(ctx, object)
		took := first.terminate()
		Expect(first.err).NotTo(HaveOccurred(), first.log)
		Expect(holder()).To(BeEmpty(), "the lease is free at once")
		Expect(took).To(BeNumerically("<", 5*time.Second))

		By("the API server does not answer any more")
		way := newRoad()
		second := w.run(program(), way, elect...)
		Eventually(holder).WithTimeout(waiting).ShouldNot(BeEmpty(), second.log)
		Eventually(second.ready).WithTimeout(waiting).Should(Succeed())
		way.dead.Store(true)
		took = second.terminate()
		_, _ = fmt.Fprintf(GinkgoWriter, "without an API server it took %v\n%s", took, second.log)
		Expect(took).To(BeNumerically("<", endsWithin))
	}, SpecTimeout(2*time.Minute))

	It("takes it for no error that a namespace which is being deleted admits no events", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		running := w.run(program(), nil, "-verbose")
		object := w.procedure("card", 1, closes)
		w.accepted(ctx, object)
		Expect(k8s.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(Succeed())
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		w.eventually(ctx, "card", awaitsClosing)
		w.change(ctx, "card", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		w.eventuallyGone(ctx, object)
		Eventually(running.log.String).WithTimeout(waiting).Should(ContainSubstring("Server rejected event"))
		Expect(running.log.String()).NotTo(ContainSubstring(`"level":"ERROR"`))
		Expect(running.terminate()).To(BeNumerically("<", 5*time.Second))
	})

	It("goes on where it was when the API server comes back", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		way := newRoad()
		running := w.run(program(), way)
		w.accepted(ctx, w.procedure("before", 1))
		way.dead.Store(true)
		object := w.procedure("meanwhile", 1, func(o *v1alpha1.TokenProcedure) { closes(o) })
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		Consistently(func() string { state, _ := w.atHost(ctx, "meanwhile"); return state }).WithTimeout(quiet).Should(BeEmpty())
		way.dead.Store(false)
		way.cut()
		w.eventuallyWithin(ctx, "meanwhile", synced, time.Minute)
		w.agrees(ctx, map[string][]string{"before": {w.digest(w.procedure("before", 1))}, "meanwhile": {w.digest(object)}})
		Expect(running.ready()).To(Succeed())
	}, SpecTimeout(2*time.Minute))
})
