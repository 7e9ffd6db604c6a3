package discovery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// node is a manager that runs, and what it said last about its services.
type node struct {
	*Manager
	mu   sync.Mutex
	pool map[string][]string // addresses by service
	stop func()
}

func start(t *testing.T, cfg Config, services ...config.Service) *node {
	t.Helper()
	n := &node{pool: map[string][]string{}}
	cfg.Now, cfg.Log = time.Now, slog.New(slog.DiscardHandler)
	cfg.Standings = allWork
	cfg.Changed = func() {
		for _, r := range n.Step() {
			n.put(r.Service, r.Instances)
		}
	}
	n.Manager = New(cfg)
	if err := n.Check(services); err != nil {
		t.Fatal(err)
	}
	for _, s := range n.Set(services) {
		n.put(s.ID, s.Instances)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

func (n *node) put(service string, instances []config.Instance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pool[service] = nil
	for _, in := range instances {
		n.pool[service] = append(n.pool[service], in.Address)
	}
}

func (n *node) addresses(service string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.pool[service], " ")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not in a minute: %s", what)
}

func (n *node) await(t *testing.T, service, want string) {
	t.Helper()
	eventually(t, want, func() bool { return n.addresses(service) == want })
}

func (n *node) awaitError(t *testing.T, want string) {
	t.Helper()
	eventually(t, "the error "+want, func() bool { return strings.Contains(n.Views()[0].Sources[0].Error, want) })
}

func service(d config.Discovery) config.Service {
	if d.MaxInstances == 0 {
		d.MaxInstances = 10
	}
	if d.MaxLoss == 0 {
		d.MaxLoss = .5
	}
	if d.StaleAfter == 0 {
		d.StaleAfter = time.Minute
	}
	return config.Service{ID: "s", Discovery: &d}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func targets(addresses ...string) string {
	return `[{"targets": ["` + strings.Join(addresses, `", "`) + `"]}]`
}

func TestAFileIsFollowed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "s.json")
	s := service(config.Discovery{File: &config.FileDiscovery{Path: "s.json"}})
	n := start(t, Config{Node: config.DiscoveryNode{Folder: dir}}, s)
	n.awaitError(t, "no such file")
	write(t, file, targets("10.0.0.1:1", "10.0.0.2:1"))
	n.await(t, "s", "10.0.0.1:1 10.0.0.2:1")
	write(t, file, targets("10.0.0.2:1", "10.0.0.3:1"))
	n.await(t, "s", "10.0.0.2:1 10.0.0.3:1")
	for text, want := range map[string]string{"{": "ends too early", targets("127.0.0.1:1"): "an address of this machine", "[]": "the list is empty", targets("x"): "want host:port"} {
		write(t, file, text)
		n.awaitError(t, want)
		if got := n.addresses("s"); got != "10.0.0.2:1 10.0.0.3:1" {
			t.Errorf("%s leaves %q", text, got)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	n.awaitError(t, "no such file")
	if err := os.Symlink("/etc/passwd", file); err != nil {
		t.Fatal(err)
	}
	n.awaitError(t, "escapes")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	n.awaitError(t, "is no file")
	if got := n.addresses("s"); got != "10.0.0.2:1 10.0.0.3:1" {
		t.Errorf("after all this: %q", got)
	}
}

// registry is a server of targets whose answer a test chooses.
type registry struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newRegistry(t *testing.T) *registry {
	r := &registry{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		(*r.answer.Load())(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *registry) say(f http.HandlerFunc) { r.answer.Store(&f) }

func (r *registry) list(addresses ...string) {
	r.say(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, targets(addresses...)) })
}

// TestARegistryThatFailsLeavesTheInstances: each way in which a registry can fail is told, and changes nothing.
// A file that changes all the time is read nevertheless.
func TestAFileThatNeverRestsIsRead(t *testing.T) {
	dir, end := t.TempDir(), make(chan struct{})
	var writer sync.WaitGroup
	defer writer.Wait()
	defer close(end)
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
				write(t, filepath.Join(dir, "s.json"), targets("10.0.0.1:1")+strings.Repeat(" ", i%7))
			}
		}
	})
	n := start(t, Config{Node: config.DiscoveryNode{Folder: dir}}, service(config.Discovery{File: &config.FileDiscovery{Path: "s.json"}}))
	n.await(t, "s", "10.0.0.1:1")
	at := n.Views()[0].Sources[0].At
	eventually(t, "a later answer", func() bool { return n.Views()[0].Sources[0].At.After(at) })
}

func TestARegistryThatFailsLeavesTheInstances(t *testing.T) {
	r := newRegistry(t)
	r.list("10.0.0.1:1", "10.0.0.2:1")
	s := service(config.Discovery{HTTP: &config.HTTPDiscovery{URL: r.URL + "/list?key=secret", Interval: 10 * time.Millisecond, Timeout: 3 * time.Second}})
	n := start(t, Config{}, s)
	const all = "10.0.0.1:1 10.0.0.2:1"
	n.await(t, "s", all)
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, row := range []struct {
		want string
		say  http.HandlerFunc
	}{
		{"answers 500", status(500)},
		{"answers 401: are the headers in discovery.logins right?", status(401)},
		{"redirects (302)", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"no answer in time", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "[")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
		{"EOF", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
		}},
		{"answers 204", status(204)},
		{"empty", text("")},
		{"the list is empty", text("[]")},
		{"line 1", text("<html>")},
		{"larger than 16 MiB", text(strings.Repeat(" ", MaxAnswer+1))},
		{"11 targets are more than maxInstances, which is 10", text(targets(slices.Repeat([]string{"10.0.0.1:1"}, 11)...))},
		{"is in the list twice", text(targets("10.0.0.1:1", "10.0.0.1:1"))},
		{"an address of this machine", text(targets("10.0.0.1:1", "127.0.0.1:1"))},
	} {
		r.list("10.0.0.1:1", "10.0.0.2:1")
		eventually(t, "a good answer", func() bool { return n.Views()[0].Sources[0].Error == "" })
		r.say(row.say)
		n.awaitError(t, row.want)
		if got := n.addresses("s"); got != all {
			t.Errorf("%s leaves %q", row.want, got)
		}
		if got := n.Views()[0].Sources[0].Source; strings.Contains(got, "secret") {
			t.Errorf("the source shows the query: %s", got)
		}
	}
	r.list("10.0.0.2:1", "10.0.0.3:1")
	n.await(t, "s", "10.0.0.2:1 10.0.0.3:1")
}

func TestAServerGetsOnlyItsOwnHeaders(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "one")
	r := newRegistry(t)
	var seen, tags sync.Map
	r.say(func(w http.ResponseWriter, req *http.Request) {
		seen.Store(req.Header.Get("Authorization")+" "+req.Header.Get("X-Other"), true)
		tags.Store(req.Header.Get("If-None-Match"), true)
		w.Header().Set("ETag", `"v1"`)
		if req.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, targets("10.0.0.1:1"))
	})
	s := service(config.Discovery{HTTP: &config.HTTPDiscovery{URL: r.URL, Interval: 5 * time.Millisecond, Timeout: 10 * time.Second}})
	n := start(t, Config{Node: config.DiscoveryNode{Logins: []config.DiscoveryLogin{
		{Server: r.URL + "/", Headers: map[string]secret.Ref{"Authorization": secret.Ref("${file:" + token + "}")}},
		{Server: "http://127.0.0.1:1", Headers: map[string]secret.Ref{"X-Other": "${env:HOME}"}},
	}}}, s)
	n.await(t, "s", "10.0.0.1:1")
	write(t, token, "two")
	eventually(t, "the new token", func() bool { _, ok := seen.Load("two "); return ok })
	eventually(t, "a request with the tag of the answer", func() bool { _, ok := tags.Load(`"v1"`); return ok })
	seen.Range(func(k, _ any) bool {
		if k != "one " && k != "two " {
			t.Errorf("headers %q", k)
		}
		return true
	})
	if v := n.Views()[0].Sources[0]; v.Error != "" || v.Instances != 1 {
		t.Errorf("%+v", v)
	}
}

func TestTheLastGoodAnswerSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	r := newRegistry(t)
	r.list("10.0.0.1:1", "10.0.0.2:1")
	d := config.Discovery{HTTP: &config.HTTPDiscovery{URL: r.URL, Interval: 10 * time.Millisecond, Timeout: time.Second}}
	n := start(t, Config{Dir: dir}, service(d))
	n.await(t, "s", "10.0.0.1:1 10.0.0.2:1")
	n.stop()
	r.Close()

	n = start(t, Config{Dir: dir}, service(d))
	if got := n.addresses("s"); got != "10.0.0.1:1 10.0.0.2:1" {
		t.Fatalf("after the restart: %q", got)
	}
	if v := n.Views()[0].Sources[0]; !v.Saved || !n.Ready() {
		t.Errorf("%+v, ready %v", v, n.Ready())
	}
	n.awaitError(t, "refused")
	n.stop()

	other := d
	other.HTTP = &config.HTTPDiscovery{URL: r.URL + "/other", Interval: time.Hour, Timeout: time.Second}
	if got := start(t, Config{Dir: dir}, service(other)).addresses("s"); got != "" {
		t.Errorf("another source uses the answer: %q", got)
	}
	narrow := d
	narrow.MaxInstances = 1
	if got := start(t, Config{Dir: dir}, service(narrow)).addresses("s"); got != "" {
		t.Errorf("an answer beyond the bounds is used: %q", got)
	}
	for _, text := range []string{"{", `{"format": 99}`, ""} {
		write(t, filepath.Join(dir, "s.json"), text)
		n := start(t, Config{Dir: dir}, service(d))
		if got := n.addresses("s"); got != "" {
			t.Errorf("%q gives %q", text, got)
		}
		n.stop()
		if _, err := os.Stat(filepath.Join(dir, "s.json.damaged")); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A node that restarts while a list is wrong must not begin with that list alone.
func TestHeldInstancesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	all := make([]string, 10)
	for i := range all {
		all[i] = fmt.Sprintf("10.0.0.%d:1", i+1)
	}
	r := newRegistry(t)
	r.list(all...)
	s := service(config.Discovery{HTTP: &config.HTTPDiscovery{URL: r.URL, Interval: 10 * time.Millisecond, Timeout: time.Second}})
	n := start(t, Config{Dir: dir}, s)
	size := func() int { return len(strings.Fields(n.addresses("s"))) }
	eventually(t, "ten instances", func() bool { return size() == 10 })
	r.list(all[0])
	eventually(t, "that half have left", func() bool { return size() == 5 })
	n.stop()

	n = start(t, Config{Dir: dir}, s)
	if got := n.Views()[0]; size() != 5 || got.Held != 4 {
		t.Fatalf("after the restart: %s, %d held", n.addresses("s"), got.Held)
	}
	eventually(t, "an answer", func() bool { return !n.Views()[0].Sources[0].Saved })
	if size() != 5 {
		t.Errorf("after the first answer: %s", n.addresses("s"))
	}
	r.list(all...)
	eventually(t, "ten instances again", func() bool { return size() == 10 && n.Views()[0].Held == 0 })
}

func TestAChangedConfigurationKeepsWhatIsKnown(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(dir, name+".json"), targets("10.0.0."+fmt.Sprint(len(name)+int(name[0]-'a'))+":1"))
	}
	file := func(name string) config.Service {
		return service(config.Discovery{File: &config.FileDiscovery{Path: name + ".json"}})
	}
	n := start(t, Config{Node: config.DiscoveryNode{Folder: dir}, Dir: store}, file("a"))
	n.await(t, "s", "10.0.0.1:1")
	wider := file("a")
	wider.Discovery.MaxInstances = 20
	if got := n.Set([]config.Service{wider})[0].Instances; len(got) != 1 {
		t.Errorf("another bound forgets the instances: %v", got)
	}
	if got := n.Set([]config.Service{file("b")})[0].Instances; len(got) != 1 || got[0].Address != "10.0.0.1:1" {
		t.Errorf("before its first answer, another file gives %v", got)
	}
	n.await(t, "s", "10.0.0.2:1")
	eventually(t, "a saved answer", func() bool { n.saveAll(true); _, err := os.Stat(filepath.Join(store, "s.json")); return err == nil })
	static := config.Service{ID: "s", Instances: []config.Instance{{ID: "x", Address: "10.0.0.9:1"}}}
	if got := n.Set([]config.Service{static})[0].Instances; len(got) != 1 || got[0].ID != "x" || len(n.Views()) != 0 {
		t.Errorf("without discovery: %v, %v", got, n.Views())
	}
	if _, err := os.Stat(filepath.Join(store, "s.json")); err == nil {
		t.Error("the saved answer of a service without sources stays")
	}
	if got := n.Set([]config.Service{file("b")})[0].Instances; len(got) != 1 || got[0].ID != "x" {
		t.Errorf("instances of the document that a source replaces leave before its answer: %v", got)
	}
	n.await(t, "s", "10.0.0.2:1")
}

// A configuration that removes a source removes its instances, and that is recorded as any other leave.
func TestLeavesByAConfigurationAreReported(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.json"), targets("10.0.0.1:1"))
	write(t, filepath.Join(dir, "b.json"), targets("10.0.0.2:1"))
	m := New(Config{Node: config.DiscoveryNode{Folder: dir}, Now: func() time.Time { return begin }, Standings: allWork, Log: slog.New(slog.DiscardHandler)})
	file := func(name string) config.Service {
		return service(config.Discovery{File: &config.FileDiscovery{Path: name}})
	}
	m.Set([]config.Service{file("a.json")})
	e := m.services["s"]
	found, err := e.sources[0].(fileSource).read()
	m.answered(e, e.listings[0], found, err)
	if r := m.Step(); len(r) != 1 || len(r[0].Changes) != 1 || !r[0].Changes[0].Joined {
		t.Fatalf("%+v", r)
	}
	both := file("a.json")
	both.Instances = []config.Instance{{ID: "10.0.0.1:1", Address: "10.0.0.9:1", Weight: 1}}
	m.Set([]config.Service{both})
	r := m.Step()
	if len(r) != 1 || len(r[0].Changes) != 1 || r[0].Changes[0].Joined || r[0].Changes[0].Source != "file a.json" {
		t.Errorf("%+v", r)
	}
	if r := m.Step(); len(r) != 0 {
		t.Errorf("reported again: %+v", r)
	}
}

func TestASourceThatCannotRunIsRefused(t *testing.T) {
	s := service(config.Discovery{File: &config.FileDiscovery{Path: "s.json"}})
	if err := New(Config{}).Check([]config.Service{s}); err == nil || !strings.Contains(err.Error(), "service s: discovery.file: this node has no discovery.folder") {
		t.Error(err)
	}
	s = service(config.Discovery{HTTP: &config.HTTPDiscovery{URL: "https://r.example.com/x"}})
	cfg := Config{Node: config.DiscoveryNode{Logins: []config.DiscoveryLogin{{Server: "https://r.example.com:443", CA: "/nowhere"}}}}
	if err := New(cfg).Check([]config.Service{s}); err == nil || !strings.Contains(err.Error(), "discovery.logins: server https://r.example.com:443: ca:") {
		t.Error(err)
	}
}

func TestASourceWithoutAGoodAnswerIsStale(t *testing.T) {
	s := service(config.Discovery{File: &config.FileDiscovery{Path: "s.json"}, StaleAfter: 20 * time.Millisecond})
	n := start(t, Config{Node: config.DiscoveryNode{Folder: t.TempDir()}}, s)
	eventually(t, "a stale service", func() bool { return slices.Equal(n.Stale(), []string{"s"}) })

	folder := t.TempDir()
	write(t, filepath.Join(folder, "s.json"), targets("10.0.0.1:1"))
	n = start(t, Config{Node: config.DiscoveryNode{Folder: folder}}, s)
	n.await(t, "s", "10.0.0.1:1")
	at := n.Views()[0].Sources[0].At
	eventually(t, "a later look at a file that does not change", func() bool { return n.Views()[0].Sources[0].At.After(at) })
}
