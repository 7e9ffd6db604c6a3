package e2e

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// workload is a service of Kubernetes. Its pods are HTTP servers of this test, each in a slice of its own, because each has
// another port.
type workload struct {
	t    *testing.T
	api  *apiServer
	host string
	pods []*kubePod
	made int
}

type kubePod struct {
	name, uid, address string
	server             *http.Server
}

// add starts a pod that is ready. Slices are changed by publish.
func (w *workload) add() *kubePod {
	w.t.Helper()
	l, err := net.Listen("tcp", w.host+":0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.made++
	p := &kubePod{name: fmt.Sprintf("app-%d", w.made), uid: fmt.Sprintf("uid-%d", w.made), address: l.Addr().String()}
	p.server = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		fmt.Fprint(rw, "ok")
	})}
	go p.server.Serve(l)
	w.t.Cleanup(func() { _ = p.server.Close() })
	w.pods = append(w.pods, p)
	return p
}

// object is the slice of a pod.
func (p *kubePod) object() (o object) {
	o.APIVersion, o.Kind = "discovery.k8s.io/v1", "EndpointSlice"
	o.Metadata.Name, o.Metadata.Namespace = p.name, "smartlb"
	return o
}

// publish writes the slice of a pod with its conditions.
func (w *workload) publish(p *kubePod, ready, terminating bool) {
	w.t.Helper()
	host, port, _ := net.SplitHostPort(p.address)
	w.api.apply(fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, namespace: smartlb, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{name: http, port: %s, protocol: TCP}]
endpoints:
  - addresses: [%s]
    conditions: {ready: %v, serving: %v, terminating: %v}
    targetRef: {kind: Pod, namespace: smartlb, name: %s, uid: %s}
    zone: eu-1a
    nodeName: machine-1
`, p.name, port, host, ready, ready || terminating, terminating, p.name, p.uid), false)
}

// end stops a pod as Kubernetes does: it gets no new requests, finishes those that it has, and then its endpoint is gone.
func (w *workload) end(p *kubePod) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	_ = p.server.Shutdown(ctx)
	w.api.remove(p.object())
	w.pods = slices.DeleteFunc(w.pods, func(other *kubePod) bool { return other == p })
}

// TestKubernetes: a node follows a service of a real API server with the role of the manifests, and nothing more. A rolling
// restart of 40 pods, and each way in which the API server can fail, cost no request; the error is told and the alert fires.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	helm, binary := kubernetesTools(t)
	k := startKubernetes(t, binary)
	k.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: smartlb}", false)
	k.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}", false)
	manifests := k.checkManifests(t, helm)
	dir := t.TempDir()
	token := k.token("smartlb", "smartlb-proxy")
	k.checkRole(t, token)
	k.grantNodes(t, helm, token)

	w := &workload{t: t, api: k, host: podAddress(t)}
	for range 40 {
		w.publish(w.add(), true, false)
	}
	tokenFile := filepath.Join(dir, "token")
	login := func(token string) {
		if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
			t.Error(err)
		}
	}
	login(token)
	front, nonsense := k.behindProxy(t)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	kubeconfig := mustWrite(t, fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}], users: [{name: u, user: {tokenFile: %q}}]}`,
		front.URL, base64.StdEncoding.EncodeToString(authority), tokenFile))
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	n := node(t, b.Address("broker"), mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
discovery: {kubernetes: {kubeconfig: `+kubeconfig+`}}
routes: [{name: r, service: s}]
services:
  - {id: s, discovery: {kubernetes: {service: app, namespace: smartlb, port: http, wait: 1s, timeout: 1s}, allow: [`+w.host+`/32], staleAfter: 2s}}
`), t.TempDir())
	k.checkPrograms(t, b.Address("broker"), kubeconfig, w.host)
	// state returns the state of each instance by the name of its pod, the error of the source, and whether the alert fires.
	state := func() (states map[string]string, failure string, alert bool) {
		v := sourcesOf(t, n)
		states = map[string]string{}
		for _, in := range v.Services[0].Instances {
			states[in.ID] = in.State
		}
		return states, v.Services[0].Discovery.Sources[0].Error, len(staleServices(v)) > 0
	}
	follows := func() bool {
		states, failure, _ := state()
		for _, p := range w.pods {
			if states[p.name] == "" || states[p.name] == "draining" {
				return false
			}
		}
		return len(states) == len(w.pods) && failure == ""
	}
	eventually(t, "all pods", follows)
	eventually(t, "the region of the node of each pod", func() bool { return regions(t, n) == "eu-1a in eu-1: 40;" })
	l := startLoad(t, "http://"+n.Address("web")+"/", 6)

	w.restart(state, follows)
	first := w.pods[0]
	w.publish(first, false, false)
	eventually(t, "a pod that is not ready leaves", func() bool { states, _, _ := state(); return states[first.name] == "" })
	w.publish(first, true, false)
	eventually(t, "it is ready again", follows)
	w.breakAndRepair(state, follows, login, token, manifests, nonsense)

	eventually(t, "the end of the alert", func() bool { _, _, alert := state(); return !alert })
	k.kill()
	eventually(t, "the alert while the API server is down", func() bool {
		states, failure, alert := state()
		return alert && strings.Contains(failure, "EOF") && len(states) == 40
	})
	out, _, code := smartlb(t, "discovery", "--admin", n.Address("admin"))
	if code != 0 || !strings.Contains(out, "kubernetes smartlb/app:http") || !strings.Contains(out, "stale") {
		t.Errorf("smartlb discovery: %d\n%s", code, out)
	}
	k.start()
	eventually(t, "an API server that is back, and the end of the alert", func() bool { _, _, alert := state(); return follows() && !alert })
	l.stop()
	l.none(t)
}

// behindProxy returns a proxy in front of the API server, as control planes have one. It answers with the text instead, if there is one.
func (k *apiServer) behindProxy(t *testing.T) (*httptest.Server, *atomic.Pointer[string]) {
	t.Helper()
	u, err := url.Parse(k.url)
	if err != nil {
		t.Fatal(err)
	}
	nonsense := &atomic.Pointer[string]{}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.FlushInterval = -1 // watches
	proxy.Transport = k.client.Transport
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := nonsense.Load(); text != nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, *text)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s, nonsense
}

// restart replaces all pods, ten at a time, as a Deployment does by default.
func (w *workload) restart(state func() (map[string]string, string, bool), follows func() bool) {
	w.t.Helper()
	for old := slices.Clone(w.pods); len(old) > 0; old = old[10:] {
		for range 10 {
			w.publish(w.add(), true, false)
		}
		eventually(w.t, "the new pods", follows)
		for _, p := range old[:10] {
			w.publish(p, false, true)
		}
		eventually(w.t, "pods that end drain", func() bool {
			states, _, _ := state()
			return !slices.ContainsFunc(old[:10], func(p *kubePod) bool { return states[p.name] != "draining" })
		})
		for _, p := range old[:10] {
			w.end(p)
		}
		eventually(w.t, "a node without the pods that ended", follows)
	}
}

// breakAndRepair breaks the source in several ways. Each is told, the alert fires, and the pods stay.
func (w *workload) breakAndRepair(state func() (map[string]string, string, bool), follows func() bool, login func(string), token string, manifests []object, nonsense *atomic.Pointer[string]) {
	w.t.Helper()
	k := w.api
	binding := manifests[slices.IndexFunc(manifests, func(o object) bool { return o.Kind == "RoleBinding" })]
	var hostile object
	hostile.APIVersion, hostile.Kind, hostile.Metadata.Name, hostile.Metadata.Namespace = "discovery.k8s.io/v1", "EndpointSlice", "hostile", "smartlb"
	slice := func(rest string) func() {
		return func() {
			k.apply("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: hostile, namespace: smartlb, labels: {kubernetes.io/service-name: app}}\n"+rest, false)
		}
	}
	removeSlice := func() { k.remove(hostile) }
	answer := func(text string) func() { return func() { nonsense.Store(&text) } }
	good := func() { nonsense.Store(nil) }
	for _, fault := range []struct {
		name, want string
		begin, end func()
	}{
		{"names", `has the address type "FQDN"`, slice("addressType: FQDN\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [example.com]}]"), removeSlice},
		{"a forbidden address", "is in no network of allow", slice("addressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [10.1.2.3]}]"), removeSlice},
		{"no role", "answers 403: a role with the verbs get, list and watch", func() { k.remove(binding) }, func() {}},
		{"an expired token", "answers 401", func() { login(k.expired(token)) }, func() { login(token); k.checkManifest(w.t) }},
		{"slices that are none", "cannot unmarshal string", answer(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[{"endpoints":"none"}]}`), good},
		{"an answer that is cut off", "unexpected end of JSON input", answer(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[{`), good},
		{"silence", "", func() { k.signal(syscall.SIGSTOP) }, func() { k.signal(syscall.SIGCONT) }},
	} {
		fault.begin()
		eventually(w.t, fault.name, func() bool {
			states, failure, alert := state()
			return alert && failure != "" && strings.Contains(failure, fault.want) && len(states) == len(w.pods)
		})
		fault.end()
		if fault.name != "no role" { // the next one needs a source that fails, so that the token is read anew
			eventually(w.t, "a source that works after "+fault.name, follows)
		}
	}
	for _, p := range w.pods {
		k.remove(p.object())
	}
	eventually(w.t, "an empty list", func() bool {
		states, failure, _ := state()
		return strings.Contains(failure, "the list is empty") && len(states) >= len(w.pods)/2
	})
	for _, p := range w.pods {
		w.publish(p, true, false)
	}
	eventually(w.t, "a list that is no longer empty", follows)
}

// checkManifests applies the manifests, and lets the API server check what the chart renders with other values.
func (k *apiServer) checkManifests(t *testing.T, helm string) []object {
	t.Helper()
	values := mustWrite(t, `brokers: [kafka-1:9093, kafka-2:9093]
image: {repository: registry.example.com/smartlb, tag: "1"}
imagePullSecrets: [{name: registry}]
discoveryNamespaces: [smartlb, shop]
podMetrics: true
otlp: {enabled: true, port: 4317, from: [{podSelector: {matchLabels: {app: sender}}}]}
config: {telemetry: {otlp: {token: "${file:/run/smartlb/credentials/otlp}"}}, console: {address: ":8083", users: [{name: a, role: admin, passwordHash: x}]}, kafka: {sasl: {mechanism: PLAIN, user: a, password: "${file:/run/smartlb/credentials/kafka}"}}}
proxy:
  service: {type: LoadBalancer, externalTrafficPolicy: Local, annotations: {a: b}, ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}
  nodeSelector: {edge: "true"}
  tolerations: [{key: edge, operator: Exists}]
  maxUnavailable: 20%
console: {service: true}
networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
`)
	rendered := renderedChart(t, helm, values)
	for _, want := range []string{"kafka-2:9093", "namespace: shop", "registry.example.com/smartlb:1", "type: LoadBalancer", "mechanism: PLAIN", "port: 8443", "name: smartlb-console", "metadata.name: monitoring", "metrics.k8s.io", "--otlp=:4317", "name: smartlb-otlp", "containerPort: 4317", "app: sender"} {
		if !strings.Contains(rendered, want) {
			t.Errorf("the chart with values has no %s", want)
		}
	}
	k.apply(rendered, true)
	if _, plain, _ := strings.Cut(k.manifest(t), "\n"); renderedChart(t, helm) != plain {
		t.Error("deployment/kubernetes/smartlb.yaml is not what the chart renders; its first line says how to make it")
	}
	for values, want := range map[string]string{
		"proxy: {service: {ports: [{name: http, port: 80}]}}":                                  "missing property 'targetPort'", // a policy with an empty port would open the admin API
		"proxy: {service: {ports: [{name: http, port: 80, targetPort: 8080, protocol: UDP}]}}": "value must be 'TCP'",
		"config: {kafka: {brokers: [other:9092]}}":                                             "at '/config/kafka/brokers'",
		"otlp: {enabled: true}":                                                 "set config.telemetry.otlp.token",
		"config: {telemetry: {otlp: {address: \":4318\"}}}":                     "at '/config/telemetry/otlp/address'",
		"config: {admin: {address: \":9000\"}}":                                 "at '/config/admin/address'",
		"proxy: {lameDuck: 20s, drain: 30s, terminationGracePeriodSeconds: 50}": "want more than proxy.lameDuck and proxy.drain together",
	} {
		if _, errs, err := renderChart(t, helm, mustWrite(t, values)); err == nil || !strings.Contains(errs, want) {
			t.Errorf("values %s: got %v %s, want %s", values, err, errs, want)
		}
	}
	return k.checkManifest(t)
}

// checkManifest applies deployment/kubernetes/smartlb.yaml.
func (k *apiServer) checkManifest(t *testing.T) []object {
	t.Helper()
	return k.apply(k.manifest(t), false)
}

func (k *apiServer) manifest(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../deployment/kubernetes/smartlb.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// renderedChart returns the chart with values.
func renderedChart(t *testing.T, helm string, values ...string) string {
	t.Helper()
	out, errs, err := renderChart(t, helm, values...)
	if err != nil {
		t.Fatalf("rendering the chart: %v %s", err, errs)
	}
	return out
}

func renderChart(t *testing.T, helm string, values ...string) (out, errs string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, helm, append([]string{"../../deployment/kubernetes/smartlb", "smartlb"}, values...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	return string(b), stderr.String(), err
}

// checkRole shows that the role of the proxy permits what it needs, and nothing else.
func (k *apiServer) checkRole(t *testing.T, token string) {
	t.Helper()
	const endpoints = "/apis/discovery.k8s.io/v1/namespaces/smartlb/endpointslices"
	slice := []byte(`{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": []}`)
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{"GET", endpoints, 200},
		{"GET", endpoints + "?watch=true&timeoutSeconds=1", 200},
		{"GET", endpoints + "/none", 404},
		{"GET", "/apis/discovery.k8s.io/v1/endpointslices", 403},
		{"GET", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", 403},
		{"POST", endpoints, 403},
		{"DELETE", endpoints, 403},
		{"DELETE", endpoints + "/x", 403},
		{"PUT", endpoints + "/x", 403},
		{"GET", "/api/v1/namespaces/smartlb/secrets", 403},
		{"GET", "/api/v1/namespaces/smartlb/configmaps", 403},
		{"GET", "/api/v1/namespaces/smartlb/pods", 403},
		{"GET", "/api/v1/namespaces/smartlb/services", 403},
		{"GET", "/api/v1/namespaces/smartlb/endpoints", 403},
		{"GET", "/api/v1/nodes", 403},
		{"POST", "/api/v1/namespaces/smartlb/serviceaccounts/smartlb-proxy/token", 403},
	} {
		var body []byte
		if row.method == "POST" || row.method == "PUT" {
			body = slice
		}
		code, answer := 0, ""
		eventually(t, "an answer to "+row.method+" "+row.path, func() bool { // the authorizer learns of a role a moment after it was written
			code, answer = k.do(token, row.method, row.path, "application/json", body)
			return code == row.want || row.want != 200
		})
		if code != row.want {
			t.Errorf("%s %s: %d, want %d: %.300s", row.method, row.path, code, row.want, answer)
		}
	}
	analyzer := k.token("smartlb", "smartlb-analyzer")
	if code, _ := k.do(analyzer, "GET", endpoints, "", nil); code != 403 {
		t.Errorf("the analyzer reads endpoints: %d", code)
	}
}

// grantNodes lets the proxy list nodes, with the ClusterRole of the chart, and makes a node with a region.
func (k *apiServer) grantNodes(t *testing.T, helm, token string) {
	t.Helper()
	granted := 0
	for _, text := range strings.Split(renderedChart(t, helm, mustWrite(t, "nodeRegions: true")), "\n---\n") {
		if strings.Contains(text, "\nkind: ClusterRole") {
			granted += len(k.apply(text, false))
		}
	}
	if granted != 2 {
		t.Fatalf("the chart has %d objects for nodes, want a ClusterRole and its binding", granted)
	}
	k.apply("apiVersion: v1\nkind: Node\nmetadata: {name: machine-1, labels: {topology.kubernetes.io/region: eu-1, topology.kubernetes.io/zone: eu-1a}}", false)
	code := 0
	eventually(t, "the permission to list nodes", func() bool { code, _ = k.do(token, "GET", "/api/v1/nodes", "", nil); return code == 200 })
	for _, path := range []string{"/api/v1/nodes/machine-1", "/api/v1/nodes?watch=true&timeoutSeconds=1"} {
		if code, _ := k.do(token, "GET", path, "", nil); code != 403 {
			t.Errorf("%s: %d, want 403", path, code)
		}
	}
}

// regions returns how many instances are in which zone and region.
func regions(t *testing.T, n *process) string {
	t.Helper()
	var v struct {
		Services []struct {
			Instances []struct{ Tags map[string]string }
		}
	}
	if err := getJSON(t, "http://"+n.Address("admin")+"/api/v1/overview", &v); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, in := range v.Services[0].Instances {
		counts[in.Tags["zone"]+" in "+in.Tags["region"]]++
	}
	out := ""
	for _, at := range slices.Sorted(maps.Keys(counts)) {
		out += fmt.Sprintf("%s: %d;", at, counts[at])
	}
	return out
}
