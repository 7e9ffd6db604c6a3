package discovery

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/smartlb/smartlb/internal/control/config"
)

// cluster is an API server that knows EndpointSlices, by the documented API.
type cluster struct {
	t       *testing.T
	mu      sync.Mutex
	slices  map[string]discoveryv1.EndpointSlice
	log     []string // events as lines of a watch; the version is their number
	first   int      // version of the oldest event that a watch can begin after
	changed chan struct{}
	page    int // slices of one page; 0: all
	logins  map[string]bool
	queries []string
}

func newCluster(t *testing.T) (*cluster, *registry) {
	c := &cluster{t: t, slices: map[string]discoveryv1.EndpointSlice{}, changed: make(chan struct{}), logins: map[string]bool{}}
	r := &registry{}
	r.say(c.serve)
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { (*r.answer.Load())(w, req) }))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(func() {
		r.CloseClientConnections() // before the server waits for its watches
		r.Close()
	})
	return c, r
}

// put writes a slice.
func (c *cluster) put(slice discoveryv1.EndpointSlice) { c.change(slice, "ADDED", false) }

// remove deletes a slice.
func (c *cluster) remove(name string) {
	slice := discoveryv1.EndpointSlice{}
	slice.Name = name
	c.change(slice, "DELETED", true)
}

func (c *cluster) change(slice discoveryv1.EndpointSlice, kind string, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slice.TypeMeta = metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"}
	slice.ResourceVersion = strconv.Itoa(len(c.log) + 1)
	if c.slices[slice.Name] = slice; gone {
		delete(c.slices, slice.Name)
	}
	line, err := json.Marshal(map[string]any{"type": kind, "object": slice})
	if err != nil {
		c.t.Error(err)
	}
	c.log = append(c.log, string(line))
	close(c.changed)
	c.changed = make(chan struct{})
}

// forgetEvents makes versions until now too old for a watch, and ends the watches.
func (c *cluster) forgetEvents(r *registry) {
	c.mu.Lock()
	c.log = append(c.log, "")
	c.first = len(c.log)
	c.mu.Unlock()
	r.CloseClientConnections()
}

func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" {
		c.t.Errorf("path %s", r.URL.Path)
	}
	c.mu.Lock()
	c.logins[r.Header.Get("Authorization")] = true
	c.queries = append(c.queries, r.URL.RawQuery)
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("watch") == "true" {
		c.watch(w, r)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"}}
	list.ResourceVersion = strconv.Itoa(len(c.log))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	n := 0
	for _, name := range sortedKeys(c.slices) {
		if n++; n <= from {
			continue
		}
		if c.page > 0 && len(list.Items) == c.page {
			list.Continue = strconv.Itoa(n - 1)
			break
		}
		list.Items = append(list.Items, c.slices[name])
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (c *cluster) watch(w http.ResponseWriter, r *http.Request) {
	version, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	end := time.After(time.Duration(seconds) * time.Second)
	for {
		c.mu.Lock()
		events, old, changed := c.log[min(version, len(c.log)):], version < c.first, c.changed
		c.mu.Unlock()
		if old {
			_, _ = io.WriteString(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old","reason":"Expired","code":410}}`)
			return
		}
		for _, line := range events {
			_, _ = io.WriteString(w, line+"\n")
		}
		w.(http.Flusher).Flush()
		version += len(events)
		select {
		case <-changed:
		case <-end:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func sortedKeys(m map[string]discoveryv1.EndpointSlice) (out []string) {
	for name := range m {
		out = append(out, name)
	}
	for i := range out {
		for j := i; j > 0 && out[j] < out[j-1]; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

// sliceWith returns an IPv4 slice with the port http=8080.
func sliceWith(name string, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
	http, port := "http", int32(8080)
	s := discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints, Ports: []discoveryv1.EndpointPort{{Name: &http, Port: &port}}}
	s.Name = name
	return s
}

func kubernetesService(t *testing.T, r *registry, token string) (config.Service, Config) {
	t.Helper()
	dir := t.TempDir()
	tokenFile, kubeconfig := filepath.Join(dir, "token"), filepath.Join(dir, "kubeconfig")
	write(t, tokenFile, token)
	write(t, kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: u, user: {tokenFile: %q}}]
contexts: [{name: other, context: {cluster: none, user: u}}, {name: this, context: {cluster: c, user: u}}]
current-context: other
`, r.URL, base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})), tokenFile))
	d := config.Discovery{Kubernetes: &config.KubernetesDiscovery{Service: "payments", Namespace: "shop", Port: "http", Wait: time.Minute, Timeout: 10 * time.Second}}
	return service(d), Config{Node: config.DiscoveryNode{Kubernetes: config.KubernetesNode{Kubeconfig: kubeconfig, Context: "this"}}}
}

func TestKubernetesIsFollowed(t *testing.T) {
	c, r := newCluster(t)
	c.page = 1
	c.put(sliceWith("payments-a", pod("pay-1", "10.0.0.1"), pod("pay-2", "10.0.0.2")))
	c.put(sliceWith("payments-b", pod("pay-3", "10.0.0.3")))
	s, cfg := kubernetesService(t, r, "first")
	n := start(t, cfg, s)
	n.await(t, "s", "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080")
	c.put(sliceWith("payments-b", pod("pay-3", "10.0.0.3"), pod("pay-4", "10.0.0.4")))
	n.await(t, "s", "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080 10.0.0.4:8080")
	c.remove("payments-a")
	n.await(t, "s", "10.0.0.3:8080 10.0.0.4:8080")
	if err := os.WriteFile(cfg.Node.Kubernetes.Kubeconfig[:len(cfg.Node.Kubernetes.Kubeconfig)-len("kubeconfig")]+"token", []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.forgetEvents(r) // the next watch is refused, so the slices are listed anew
	c.put(sliceWith("payments-c", pod("pay-5", "10.0.0.5")))
	n.await(t, "s", "10.0.0.3:8080 10.0.0.4:8080 10.0.0.5:8080")
	if got := n.Views()[0].Sources[0].Source; got != "kubernetes shop/payments:http" {
		t.Errorf("the source is %q", got)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.logins) != 2 || !c.logins["Bearer first"] || !c.logins["Bearer second"] {
		t.Errorf("logins %v", c.logins)
	}
	if got := c.queries[:3]; !strings.Contains(got[0], "labelSelector=kubernetes.io%2Fservice-name%3Dpayments&limit=200") || !strings.Contains(got[1], "continue=1") ||
		!strings.Contains(got[2], "resourceVersion=2&timeoutSeconds=60&watch=true") {
		t.Errorf("queries %q", got)
	}
}

// TestWhyAnAPIServerFails: with a token that expired, without a role, as another server, and with answers that are none.
func TestWhyAnAPIServerFails(t *testing.T) {
	c, r := newCluster(t)
	c.put(sliceWith("payments-a", pod("pay-1", "10.0.0.1")))
	_, cfg := kubernetesService(t, r, "token")
	access, err := NewKubernetesAccess(cfg.Node.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	status := func(code int, reason string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":%q,"code":%d}`, reason, code)
		}
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	}
	watched := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("watch") == "" {
				c.serve(w, r)
				return
			}
			f(w, r)
		}
	}
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for _, row := range []struct {
		want    string
		timeout time.Duration
		say     http.HandlerFunc
	}{
		{"answers 401", time.Minute, status(401, "Unauthorized")},
		{"answers 403: a role with the verbs get, list and watch on endpointslices of discovery.k8s.io in the namespace shop must be bound to this login, which may not list them", time.Minute, status(403, "Forbidden")},
		{"which may not watch them", time.Minute, watched(status(403, "Forbidden"))},
		{"answers 404", time.Minute, status(404, "NotFound")},
		{"answers 500", time.Minute, status(500, "InternalError")},
		{"answers 429", time.Minute, status(429, "TooManyRequests")},
		{"answers 302", time.Minute, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }},
		{`no kind "PodList" is registered`, time.Minute, text(`{"kind":"PodList","apiVersion":"v1","items":[]}`)},
		{"json parse error", time.Minute, text(`[]`)},
		{"0-length response", time.Minute, text("")},
		{"cannot unmarshal string", time.Minute, text(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[{"endpoints":"none"}]}`)},
		{"unexpected end of JSON input", time.Minute, text(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[{`)},
		{"more than maxInstances permits", time.Minute, watched(text(`{"type":"ADDED","object":` + manyEndpoints(100) + `}`))},
		{"the watch sent *v1.EndpointSliceList", time.Minute, watched(text(`{"type":"ADDED","object":{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1"}}`))},
		{"unable to decode an event", time.Minute, watched(text(`{"type":"ADDED","object":7}`))},
		{errSilent.Error(), 300 * time.Millisecond, watched(silent)},
		{"no answer in time", 50 * time.Millisecond, silent},
		{"larger than 16 MiB", time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			piece := []byte(`{"kind":"EndpointSliceList","x":"` + strings.Repeat("x", 1<<20))
			for range 20 {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}},
	} {
		r.say(row.say)
		s := kubernetesSource{access: access, namespace: "shop", service: "payments", port: "http", wait: time.Millisecond, timeout: row.timeout, most: 10, nodes: &nodeRegions{}}
		_, err := s.follow(t.Context(), func([]config.Instance, error) {})
		for row.want == errSilent.Error() && err != nil && err.Error() == "no answer in time" { // to the list, from a busy machine
			_, err = s.follow(t.Context(), func([]config.Instance, error) {})
		}
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), r.URL) {
			t.Errorf("got %v, want %q", err, row.want)
		}
	}
}

func manyEndpoints(n int) string {
	s := sliceWith("many")
	for i := range n {
		s.Endpoints = append(s.Endpoints, pod(fmt.Sprint("p", i), fmt.Sprint("10.0.1.", i)))
	}
	s.TypeMeta = metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"}
	b, _ := json.Marshal(s)
	return string(b)
}

// A server that is down, and one that has lost its slices, leave the instances.
func TestAnAPIServerThatFailsLeavesTheInstances(t *testing.T) {
	c, r := newCluster(t)
	c.put(sliceWith("payments-a", pod("pay-1", "10.0.0.1")))
	s, cfg := kubernetesService(t, r, "token")
	n := start(t, cfg, s)
	n.await(t, "s", "10.0.0.1:8080")
	c.remove("payments-a")
	n.awaitError(t, "the list is empty")
	r.say(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	r.CloseClientConnections()
	n.awaitError(t, "answers 401")
	c.put(sliceWith("payments-a", pod("pay-1", "10.0.0.1")))
	r.say(c.serve)
	eventually(t, "a good answer", func() bool { return n.Views()[0].Sources[0].Error == "" })
	r.say(func(w http.ResponseWriter, _ *http.Request) { // to the library, an event that is cut off is the end of a watch
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"EndpointSliceList","items":[{`)
	})
	r.CloseClientConnections()
	n.awaitError(t, "unexpected end of JSON input")
	if got := n.addresses("s"); got != "10.0.0.1:8080" {
		t.Errorf("the instances are %q", got)
	}
	c.put(sliceWith("payments-a", pod("pay-1", "10.0.0.1")))
	r.say(c.serve)
	eventually(t, "a good answer", func() bool { return n.Views()[0].Sources[0].Error == "" })
}

func TestANodeWithoutAccessToKubernetesRefusesTheService(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, r := newCluster(t)
	s, cfg := kubernetesService(t, r, "x")
	damaged := filepath.Join(t.TempDir(), "kubeconfig")
	write(t, damaged, "clusters: 7")
	for want, access := range map[string]config.KubernetesNode{
		"runs in no pod of Kubernetes: name a kubeconfig": {},
		"no such file or directory":                       {Kubeconfig: "/nowhere"},
		`context "nothing" does not exist`:                {Kubeconfig: cfg.Node.Kubernetes.Kubeconfig, Context: "nothing"},
		"cannot unmarshal number":                         {Kubeconfig: damaged},
	} {
		err := New(Config{Node: config.DiscoveryNode{Kubernetes: access}}).Check([]config.Service{s})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestOtherObjectsOfKubernetesAreRead(t *testing.T) {
	_, r := newCluster(t)
	_, cfg := kubernetesService(t, r, "token")
	access, err := NewKubernetesAccess(cfg.Node.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		code       int
		body, want string
	}{
		{200, `{"items": []}`, ""},
		{401, "", "answers 401"},
		{403, "", "answers 403: a role with the verb for /api/v1/pods must be bound"},
		{404, "", "answers 404"},
		{503, "", "answers 503"},
		{200, strings.Repeat("x", MaxAnswer+1), "larger than 16 MiB"},
	} {
		r.say(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path != "/api/v1/pods" || q.Header.Get("Authorization") != "Bearer token" || q.Header.Get("Accept") != "application/json" {
				t.Errorf("%s %v", q.URL, q.Header)
			}
			w.WriteHeader(row.code)
			_, _ = io.WriteString(w, row.body)
		})
		got, err := access.Get(t.Context(), "/api/v1/pods")
		if row.want == "" && (err != nil || string(got) != row.body) || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%d: got %.50s, %v, want %q", row.code, got, err, row.want)
		}
	}
}
