package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// memory keeps what is published.
type memory struct {
	mu  sync.Mutex
	all []Report
}

func (m *memory) Publish(r *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, *r)
}

func (m *memory) reports() []Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

func newReporter(t testing.TB, change func(*Config)) (*Reporter, *memory) {
	t.Helper()
	m := &memory{}
	cfg := Config{ServiceID: "user-service", InstanceID: "user-service-1", Publisher: m, NoUsage: true}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, m
}

// running runs a reporter in a bubble for as long as f lasts.
func running(t *testing.T, change func(*Config), f func(r *Reporter, m *memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, m := newReporter(t, change)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		f(r, m)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestEverySecondWithTrafficIsReported(t *testing.T) {
	running(t, func(c *Config) { c.Steady = c.Interval + time.Second }, func(r *Reporter, m *memory) {
		for range 3 {
			for range 9 {
				r.Observe(20*time.Millisecond, false)
			}
			r.Observe(time.Millisecond, true)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		got := m.reports()
		if len(got) != 4 { // one of nothing ends the pause before the first
			t.Fatalf("%d reports, want 4", len(got))
		}
		for _, rep := range got[1:] {
			p95 := rep.P95()
			if rep.Requests != 10 || rep.RPS() != 10 || *rep.ErrorRate() != 0.1 || p95 == nil || math.Abs(*p95-20) > 0.2 {
				t.Errorf("%+v", rep)
			}
		}
	})
}

func TestIdleInstancePublishesNothingAndPausesInflateNoRate(t *testing.T) {
	running(t, nil, func(r *Reporter, m *memory) {
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n := len(m.reports()); n != 0 {
			t.Fatalf("%d reports of an idle instance", n)
		}
		total := 0
		for n := range 5 {
			r.Observe(time.Millisecond, false)
			total++
			time.Sleep(time.Duration(1+7*n) * time.Second)
		}
		synctest.Wait()
		got := m.reports()
		requests := 0.0
		for n := 1; n < len(got); n++ {
			requests += got[n].RPS() * got[n].Time.Sub(got[n-1].Time).Seconds()
		}
		if math.Abs(requests-float64(total)) > 1e-6 || got[0].Requests != 0 {
			t.Errorf("rate times time between reports gives %v requests, want %d", requests, total)
		}
	})
}

func TestUtilizationIsToldByIdleInstancesToo(t *testing.T) {
	says := []float64{0.5, 7, math.NaN(), -1}
	next := func() float64 { u := says[0]; says = says[1:]; return u } // called by the reporter's goroutine only
	running(t, func(c *Config) { c.Utilization = next }, func(_ *Reporter, m *memory) {
		time.Sleep(4 * time.Second)
		synctest.Wait()
		var got []float64
		for _, rep := range m.reports() {
			if rep.Utilization != nil {
				got = append(got, *rep.Utilization)
			}
		}
		if !slices.Equal(got, []float64{0.5, 1}) {
			t.Errorf("utilizations %v, want 0.5 and 1; NaN and -1 are unknown", got)
		}
	})
}

func TestRunIsOnceAtATime(t *testing.T) {
	running(t, nil, func(r *Reporter, _ *memory) {
		if err := r.Run(t.Context()); err == nil {
			t.Error("a second Run ran")
		}
	})
}

// announcing is a Publisher that keeps what it is told.
type announcing struct {
	memory
	said []string // with the second in which it was said
	from time.Time
}

func (a *announcing) Announce(n Announcement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, fmt.Sprintf("%v %.0f", n.Stops, n.Time.Sub(a.from).Seconds()))
}

// A drain is announced at once and repeated, because an announcement counts for 30 s; so is its end.
func TestDrainIsAnnouncedUntilItEnds(t *testing.T) {
	for _, address := range []string{"10.0.0.1:80", ""} {
		out := &announcing{}
		want := []string{"true 0", "true 10", "true 20", "true 25", "false 27"}
		if address != "" {
			want = append(append([]string{"false 0"}, want...), "true 57")
		}
		running(t, func(c *Config) { c.Publisher, c.Address, out.from = out, address, time.Now() }, func(r *Reporter, _ *memory) {
			r.Drain(true)
			time.Sleep(25 * time.Second)
			r.Drain(true)
			time.Sleep(2 * time.Second)
			r.Drain(false)
			time.Sleep(30 * time.Second)
		})
		if !slices.Equal(out.said, want) {
			t.Errorf("address %q: %v, want %v", address, out.said, want)
		}
	}
}

func TestP95IsWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		var all []float64
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		mean := rapid.Float64Range(0.01, 1000).Draw(t, "mean ms")
		for range rapid.IntRange(1, 500).Draw(t, "requests") {
			ms := mean * math.Exp(rng.NormFloat64())
			d := time.Duration(ms * float64(time.Millisecond))
			all = append(all, float64(d)/float64(time.Millisecond))
			h.add(d)
		}
		slices.Sort(all)
		want := all[int(0.95*float64(len(all)-1))]
		var last [buckets]uint64
		rep := Report{Latencies: h.since(&last)}
		if got := *rep.P95(); want > 0.001 && math.Abs(got-want) > 0.0101*want {
			t.Fatalf("p95 %v, want %v", got, want)
		}
		if again := h.since(&last); len(again) != 0 {
			t.Fatalf("counted twice: %v", again)
		}
	})
}

func TestExtremesAreCountedAtTheEnds(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{-time.Second, 0, 1, 240 * time.Hour, math.MaxInt64} {
		h.add(d)
	}
	var last [buckets]uint64
	var n uint64
	for _, b := range h.since(&last) {
		n += b.Count
		if math.IsNaN(b.Ms) || b.Ms <= 0 || b.Ms > 1e6 {
			t.Errorf("bucket at %v ms", b.Ms)
		}
	}
	if n != 5 {
		t.Errorf("%d counted, want 5", n)
	}
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s
}

func TestMiddlewareCountsWhatHandlersDo(t *testing.T) {
	r, _ := newReporter(t, nil)
	s := serve(t, r.Middleware(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/implicit":
			_, _ = io.WriteString(w, "ok")
		case "/early-hints":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusInternalServerError)
			w.WriteHeader(http.StatusOK) // too late
		case "/flush":
			w.(http.Flusher).Flush()
			w.WriteHeader(http.StatusInternalServerError) // too late
		case "/missing":
			http.NotFound(w, req)
		case "/panic":
			panic(http.ErrAbortHandler)
		case "/copy":
			_, _ = io.Copy(w, strings.NewReader("copied"))
		}
	})))
	for _, p := range []string{"implicit", "early-hints", "flush", "missing", "panic", "copy", "nothing"} {
		resp, err := http.Post(s.URL+"/"+p, "", nil) // a GET would be tried again
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		} else if p != "panic" {
			t.Fatal(err)
		}
	}
	s.Close() // waits for the handlers
	if n, e := r.requests.Load(), r.errors.Load(); n != 7 || e != 2 || r.active.Load() != 0 {
		t.Errorf("%d requests, %d errors, %d active; want 7, 2 (early-hints, panic), 0", n, e, r.active.Load())
	}
	var last [buckets]uint64
	var timed uint64
	for _, b := range r.latencies.since(&last) {
		timed += b.Count
	}
	if timed != 5 {
		t.Errorf("%d latencies, want 5: failures have none", timed)
	}
}

func TestUpgradedConnectionIsActiveAndHasNoLatency(t *testing.T) {
	r, _ := newReporter(t, nil)
	s := serve(t, r.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if r.active.Load() != 1 {
			t.Errorf("%d active", r.active.Load())
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	})))
	if resp, err := http.Get(s.URL); err == nil {
		resp.Body.Close()
	}
	s.Close()
	var last [buckets]uint64
	if l := r.latencies.since(&last); len(l) != 0 {
		t.Errorf("latencies %v", l)
	}
}

func TestUnsupportedFeaturesSayThatTheyAre(t *testing.T) {
	r, _ := newReporter(t, nil)
	r.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("hijack of a recorder: %v", err)
		}
		if err := http.NewResponseController(w).SetReadDeadline(time.Now()); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("deadline of a recorder: %v", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestReportIsTheSeedsMessage(t *testing.T) {
	cpu := 0.65
	rep := Report{
		Time: time.Date(2024, 1, 15, 11, 30, 0, 0, time.FixedZone("", 3600)), ServiceID: "user-service", InstanceID: "user-service-1",
		Span: time.Second, Requests: 100, Errors: 2, Active: 25, CPU: &cpu, Tags: map[string]string{"region": "us-east-1"},
	}
	got, err := json.Marshal(&rep)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"timestamp":"2024-01-15T10:30:00Z","serviceId":"user-service","instanceId":"user-service-1","metrics":{"rps":100,"errorRate":0.02,"activeConnections":25,"cpuUsage":0.65},"tags":{"region":"us-east-1"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestConfigurationMistakesAreReportedTogether(t *testing.T) {
	_, err := New(Config{InstanceID: "_all", Interval: time.Hour})
	for _, want := range []string{"ServiceID", "InstanceID", "Publisher", "Interval"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
}

func TestConcurrentCountingLosesNothing(t *testing.T) {
	r, m := newReporter(t, nil)
	var wg sync.WaitGroup
	last := &counts{at: time.Now()}
	for range 4 {
		wg.Go(func() {
			for n := range 5000 {
				r.Observe(time.Duration(n)*time.Microsecond, n%10 == 0)
			}
		})
	}
	at := last.at
	for range 50 {
		at = at.Add(time.Second)
		r.report(last, at)
	}
	wg.Wait()
	r.report(last, at.Add(time.Second))
	var requests, failed uint64
	for _, rep := range m.reports() {
		requests += rep.Requests
		failed += rep.Errors
		if rep.Errors > rep.Requests {
			t.Errorf("%d errors of %d requests", rep.Errors, rep.Requests)
		}
	}
	if requests != 20000 || failed != 2000 {
		t.Errorf("%d requests, %d errors", requests, failed)
	}
}

func TestLimitsOfControlGroups(t *testing.T) {
	root := fstest.MapFS{
		"proc/meminfo":                              {Data: []byte("MemFree: 1 kB\nMemTotal:       4096 kB\n")},
		"sys/fs/cgroup/pod/cpu.max":                 {Data: []byte("150000 100000\n")},
		"sys/fs/cgroup/pod/box/cpu.max":             {Data: []byte("max 100000\n")},
		"sys/fs/cgroup/pod/memory.max":              {Data: []byte("1048576\n")},
		"sys/fs/cgroup/pod/box/memory.max":          {Data: []byte("2097152\n")},
		"sys/fs/cgroup/elsewhere/memory.max":        {Data: []byte("1\n")},
		"sys/fs/cgroup/pod/box/nonsense/cpu.max":    {Data: []byte("fast\n")},
		"sys/fs/cgroup/pod/box/nonsense/memory.max": {Data: []byte("")},
	}
	group := cgroupPath([]byte("12:cpu:/old\n0::/pod/box/nonsense\n"))
	if c, ok := cpuLimit(root, group); !ok || c != 1.5 {
		t.Errorf("cpu %v %v, want the parent's 1.5", c, ok)
	}
	if m, ok := memoryLimit(root, group); !ok || m != 1<<20 {
		t.Errorf("memory %v %v, want the tightest, 1 MiB", m, ok)
	}
	if m := memoryTotal(root); m != 4<<20 {
		t.Errorf("machine's memory %v", m)
	}
	if _, ok := cpuLimit(fstest.MapFS{}, "/"); ok {
		t.Error("a limit of nothing")
	}
	if p, ok := residentPages([]byte("100 25 3\n")); !ok || p != 25 {
		t.Errorf("resident %v", p)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	u := newUsage()
	start := time.Now()
	if u.cpu(start) != nil {
		t.Error("the first reading has no span")
	}
	x := 0.0
	for n := range 20_000_000 {
		x += math.Sqrt(float64(n))
	}
	cpu := u.cpu(time.Now())
	if cpu == nil {
		t.Log("CPU is not known on this system", x)
		return
	}
	if *cpu <= 0 || *cpu > 1 {
		t.Errorf("cpu %v", *cpu)
	}
	if m := u.memory(); m == nil || *m <= 0 || *m > 1 {
		t.Errorf("memory %v", m)
	}
}

func BenchmarkMiddleware(b *testing.B) {
	r, _ := newReporter(b, nil)
	h := r.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, req := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, req)
	}
}

// printer is a publisher of one's own: it prints the first report with requests.
type printer struct {
	once sync.Once
	done chan struct{}
}

func (p *printer) Publish(r *Report) {
	if r.Requests == 0 {
		return
	}
	p.once.Do(func() {
		fmt.Printf("%s/%s: %d requests, %d failed\n", r.ServiceID, r.InstanceID, r.Requests, r.Errors)
		close(p.done)
	})
}

func Example() {
	publisher := &printer{done: make(chan struct{})} // report/kafka has one that publishes to Kafka
	reporter, err := New(Config{
		ServiceID: "user-service", InstanceID: "user-service-1", Publisher: publisher, Interval: 100 * time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "0" {
			http.Error(w, "no such luck", http.StatusInternalServerError)
		}
	})
	handler := reporter.Middleware(mux) // what http.Server serves

	for _, path := range []string{"/users/1", "/users/2", "/users/0"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- reporter.Run(ctx) }()
	<-publisher.done
	stop()
	<-done
	// Output: user-service/user-service-1: 3 requests, 1 failed
}
