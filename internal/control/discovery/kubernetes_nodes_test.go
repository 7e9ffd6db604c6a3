package discovery

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// Regions come from the labels of nodes, page by page. They are read again for a node that is not known, at most once in 30 s; a login
// that may not read nodes has the zone alone, and asks seldom.
func TestRegionsComeFromNodes(t *testing.T) {
	_, r := newCluster(t)
	var asked atomic.Int64
	var answer atomic.Pointer[map[string]string]
	r.say(func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		nodes := *answer.Load()
		if nodes == nil {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
			return
		}
		if req.URL.Path != "/api/v1/nodes" || !strings.Contains(req.Header.Get("Accept"), "PartialObjectMetadataList") || req.URL.Query().Get("limit") != "500" {
			t.Errorf("%s, Accept %s", req.URL, req.Header.Get("Accept"))
		}
		names := slices.Sorted(maps.Keys(nodes))
		at, more := slices.Index(names, req.URL.Query().Get("continue")), ""
		at = max(at, 0)
		if at+1 < len(names) {
			more = names[at+1]
		}
		fmt.Fprintf(w, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"continue":%q},"items":[{"metadata":{"name":%q,"labels":{"topology.kubernetes.io/region":%q}}}]}`, more, names[at], nodes[names[at]])
	})
	nodes := func(m map[string]string) { answer.Store(&m) }
	_, cfg := kubernetesService(t, r, "token")
	access, err := NewKubernetesAccess(cfg.Node.Kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	client, done, err := access.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	slice := func(names ...string) discoveryv1.EndpointSlice {
		var all []discoveryv1.Endpoint
		for i, name := range names {
			e := pod(fmt.Sprint("p", i), fmt.Sprint("10.0.0.", i+1))
			zone := "a"
			e.NodeName, e.Zone = &name, &zone
			all = append(all, e)
		}
		return sliceWith("payments-a", all...)
	}
	known, n, now := newEndpointSlices("http", 10), &nodeRegions{}, time.Unix(1000, 0)
	step := func(why string, after time.Duration, wantAsked int64, want string) {
		t.Helper()
		now = now.Add(after)
		known.locate(n.of(t.Context(), client, known.unknownNode, now))
		all, err := known.instances()
		var got []string
		for _, in := range all {
			got = append(got, in.Tags["zone"]+"/"+in.Tags["region"])
		}
		if s := strings.Join(got, " "); err != nil || s != want || asked.Load() != wantAsked {
			t.Errorf("%s: %s, %d requests, %v; want %s, %d", why, s, asked.Load(), err, want, wantAsked)
		}
	}
	put := func(names ...string) {
		s := slice(names...)
		if err := known.put(&s); err != nil {
			t.Fatal(err)
		}
	}
	put("n1", "n2")
	nodes(nil)
	step("no permission", 0, 1, "a/ a/")
	step("it is not asked again at once", time.Minute, 1, "a/ a/")
	nodes(map[string]string{"n1": "eu", "n2": "us", "n0": strings.Repeat("x", 10_000)})
	step("permission", nodesRefused, 4, "a/eu a/us")
	before, _ := known.instances()
	put("n1", "n2", "n3")
	nodes(map[string]string{"n1": "eu", "n2": "us", "n3": ""})
	step("a new node within the pause", time.Second, 4, "a/eu a/us a/")
	step("a new node after it", nodesPace, 7, "a/eu a/us a/")
	step("a node without a region is known", nodesPace, 7, "a/eu a/us a/")
	if before[0].Tags["region"] != "eu" {
		t.Error("tags that were handed out have changed")
	}
	r.say(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); fmt.Fprint(w, "no JSON") })
	put("n1", "n2", "n4")
	step("an answer that is none keeps what was known", nodesPace, 8, "a/eu a/us a/")
}

// A kubeconfig that is missing or broken when the process starts, or has the wrong authority, is read again for each question.
func TestAKubeconfigThatIsRepairedIsUsed(t *testing.T) {
	_, r := newCluster(t)
	r.say(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	_, cfg := kubernetesService(t, r, "token")
	path := cfg.Node.Kubernetes.Kubeconfig
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	access, err := NewKubernetesAccess(cfg.Node.Kubernetes)
	if err == nil {
		t.Error("a missing file is no error")
	}
	for _, broken := range []string{"", "not: [yaml"} {
		if broken != "" {
			write(t, path, broken)
		}
		if _, err := access.Get(t.Context(), "/x"); err == nil || !strings.Contains(err.Error(), "discovery.kubernetes: ") {
			t.Errorf("kubeconfig %q: %v", broken, err)
		}
	}
	authority := regexp.MustCompile(`certificate-authority-data: "[^"]*"`)
	wrong := base64.StdEncoding.EncodeToString(certtest.New(t, "other").PEM())
	write(t, path, authority.ReplaceAllString(string(good), `certificate-authority-data: "`+wrong+`"`))
	if _, err := access.Get(t.Context(), "/x"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another authority: %v", err)
	}
	write(t, path, string(good))
	if src, err := access.Get(t.Context(), "/x"); err != nil || string(src) != "{}" {
		t.Errorf("repaired: %s, %v", src, err)
	}
}
