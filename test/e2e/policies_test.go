package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// clientProtocols are the protocols that each policy is tested on. Clients of HTTP are those of net/http; calls of gRPC are
// made and answered by grpc-go.
var clientProtocols = []string{"HTTP/1.1", "HTTP/1.1 TLS", "HTTP/2", "HTTP/2 TLS", "gRPC", "gRPC TLS"}

// policy is a policy of routes or services. Its host is NAME.example.test.
type policy struct {
	name    string
	on      string   // name of its listener, of which there is one with TLS too; web by default
	routes  []string // keys of each route besides name and hosts; a route NAME-0 and so on
	service string   // keys of the service NAME, if it needs one; A, B and C are addresses of instances, DOWN is that of none
	rows    []row
	more    func(t *testing.T, n *policyNode, protocol string) // what a row cannot say
}

// row is a request, and what its client must see.
type row struct {
	on      string // only protocols that contain it
	method  string // of HTTP, POST by default. Calls of gRPC are POST
	path    string // /test.Policies/Call by default
	headers []string
	http    int      // status
	grpc    string   // OK, or the code and a part of the message: "Unavailable: fixed response"
	text    string   // part of the body of HTTP
	has     []string // "Name: value" of the response; "Name:" must not be there, "Name: *" must
	saw     []string // the same of what the instance got; Instance, Method, Path and Host are names too. Empty: no instance was asked
}

// reply is what a client got.
type reply struct {
	status int    // of HTTP
	code   string // of gRPC
	text   string // body, or message of a status of gRPC
	header http.Header
	saw    http.Header // what the instance got; nil: the response is not that of an instance
	broken bool        // the body ended early
}

// policyNode is a node with all policies.
type policyNode struct {
	*process
	clients   map[string]*http.Client
	calls     string // address of the program that makes calls of gRPC
	ca        *certtest.Authority
	cert, key []byte            // PEM of the certificate of all clients with TLS
	listeners map[string]string // name of the listener of each policy
	log       string            // file with the access log
}

// address returns the address at which a host's policy is.
func (n *policyNode) address(host string, secure bool) string {
	name, _, _ := strings.Cut(host, ".")
	if name = cmp.Or(n.listeners[name], "web"); secure {
		name += "-tls"
	}
	return n.Address(name)
}

// request is what a client sends.
type request struct {
	policy, method, path string
	headers              []string
	timeout              time.Duration // of calls of gRPC
}

// ask sends a request. An empty code and the status 0 mean that ctx ended.
func (n *policyNode) ask(ctx context.Context, t *testing.T, protocol string, q request) (r reply) {
	t.Helper()
	path, host := cmp.Or(q.path, "/test.Policies/Call"), q.policy+".example.test"
	header := map[string]string{}
	for _, h := range q.headers {
		name, value, _ := strings.Cut(h, ": ")
		header[name] = value
	}
	if strings.HasPrefix(protocol, "gRPC") {
		return n.call(ctx, t, protocol, host, path, header, q.timeout)
	}
	scheme := "http"
	if strings.HasSuffix(protocol, "TLS") {
		scheme = "https"
	}
	all := path == "*"
	if all {
		path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(q.method, "POST"), scheme+"://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if all {
		req.URL.Opaque = "*"
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := n.clients[protocol].Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s: %v", protocol, err)
		}
		return reply{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r = reply{status: res.StatusCode, header: res.Header, broken: err != nil}
	if err == nil {
		r.text = plain(t, res.Header.Get("Content-Encoding"), body)
	}
	r.saw = sawOf(r.text)
	return r
}

// call is ask for gRPC.
func (n *policyNode) call(ctx context.Context, t *testing.T, protocol, host, path string, header map[string]string, timeout time.Duration) reply {
	t.Helper()
	secure := protocol == "gRPC TLS"
	in := map[string]any{"Address": n.address(host, secure), "Authority": host, "Method": path, "Header": header, "Timeout": timeout}
	if secure {
		in["CA"], in["Cert"], in["Key"] = string(n.ca.PEM()), string(n.cert), string(n.key)
	}
	text, _ := json.Marshal(in)
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+n.calls, bytes.NewReader(text))
	res, err := (&http.Client{Timeout: maxWait}).Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s: %v", protocol, err)
		}
		return reply{}
	}
	defer res.Body.Close()
	var out struct {
		Code, Message, Body string
		Header, Trailer     map[string][]string
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	r := reply{code: out.Code, text: cmp.Or(out.Message, out.Body), header: http.Header{}, saw: sawOf(out.Body)}
	for _, md := range []map[string][]string{out.Header, out.Trailer} {
		for k, v := range md {
			r.header[http.CanonicalHeaderKey(k)] = v
		}
	}
	return r
}

// sawOf returns what an instance got, if a body says it.
func sawOf(body string) http.Header {
	var got struct {
		Instance, Method, Host, Path string
		Header                       http.Header
	}
	if json.Unmarshal([]byte(body), &got) != nil || got.Instance == "" {
		return nil
	}
	h := http.Header{"Instance": {got.Instance}, "Method": {got.Method}, "Host": {got.Host}, "Path": {got.Path}}
	for k, v := range got.Header {
		h[http.CanonicalHeaderKey(k)] = v
	}
	return h
}

// lacks returns the first of wants that headers do not meet.
func lacks(got http.Header, wants []string) string {
	for _, w := range wants {
		name, want, _ := strings.Cut(w, ":")
		value, want := strings.Join(got[http.CanonicalHeaderKey(name)], ","), strings.TrimSpace(want)
		if want == "*" && value == "" || want != "*" && value != want {
			return fmt.Sprintf("%s: got %q, want %q", name, value, want)
		}
	}
	return ""
}

// check sends the request of a row and compares the reply.
func (r row) check(t *testing.T, n *policyNode, name, protocol string) {
	t.Helper()
	got := n.ask(t.Context(), t, protocol, request{name, r.method, r.path, r.headers, 0})
	what := fmt.Sprintf("%s %s %v", cmp.Or(r.method, "POST"), r.path, r.headers)
	code, message, _ := strings.Cut(cmp.Or(r.grpc, "OK"), ": ")
	switch {
	case strings.HasPrefix(protocol, "gRPC"):
		if got.code != code || !strings.Contains(got.text, message) {
			t.Errorf("%s: got %s %q, want %s %q", what, got.code, got.text, code, message)
		}
	case got.status != cmp.Or(r.http, 200) || !strings.Contains(got.text, r.text):
		t.Errorf("%s: got %d %.300q, want %d %q", what, got.status, got.text, cmp.Or(r.http, 200), r.text)
	}
	if but := lacks(got.header, r.has); but != "" {
		t.Errorf("%s: response: %s in %v", what, but, got.header)
	}
	if but := lacks(got.saw, r.saw); but != "" {
		t.Errorf("%s: request: %s in %v", what, but, got.saw)
	}
	if len(r.saw) == 0 && got.saw != nil {
		t.Errorf("%s: the instance %s was asked", what, got.saw.Get("Instance"))
	}
}

// check sends what a policy wants to be sent by one protocol.
func (p policy) check(t *testing.T, n *policyNode, protocol string) {
	for _, r := range p.rows {
		if strings.Contains(protocol, r.on) {
			r.check(t, n, p.name, protocol)
		}
	}
	if p.more != nil {
		p.more(t, n, protocol)
	}
}

// Each policy through the real process, on HTTP/1.1, HTTP/2 and gRPC, each with TLS and without: one node, one document.
func TestPoliciesOnEveryProtocol(t *testing.T) {
	t.Parallel()
	n, list := startPolicies(t)
	var all sync.WaitGroup
	turns := make(chan struct{}, 8)
	for _, p := range list {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			for _, protocol := range clientProtocols {
				t.Run(p.name+"/"+protocol, func(t *testing.T) { p.check(t, n, protocol) })
			}
		})
	}
	all.Wait()
	// What the proxy or a client did is not charged to an instance.
	if errors := metric(t, n.Address("admin"), `smartlb_service_errors_total{service="shop"}`); errors != 0 {
		t.Errorf("the instances of shop are charged for %v errors", errors)
	}
}

// startPolicies starts the instances, the services that policies ask, and a node.
func startPolicies(t *testing.T) (n *policyNode, all []policy) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "policies")
	if out, err := exec.Command("go", "build", "-C", "../foreign/grpc", "-o", program, "./policies").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "a", "b", "c")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	n = &policyNode{ca: certtest.New(t, "e2e"), clients: map[string]*http.Client{}, listeners: map[string]string{}, log: filepath.Join(dir, "access.log")}
	n.cert, n.key = n.ca.IssuePEM(certtest.Options{Client: true, Subject: "till-7"}, "till")
	lines := bufio.NewScanner(stdout)
	next := func() string { lines.Scan(); return lines.Text() }
	n.calls = next()
	auth := httptest.NewServer(http.HandlerFunc(authService))
	t.Cleanup(auth.Close)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(collector.Close)
	issuer := newIssuer(t)
	all = append(policies(issuer.publish(t, "one")), morePolicies(t)...)
	certPEM, keyPEM := n.ca.IssuePEM(certtest.Options{}, "*.example.test")
	cert, key := certtest.Files(t, dir, "server", certPEM, keyPEM)
	authority, _ := certtest.Files(t, dir, "ca", n.ca.PEM(), nil)
	var text strings.Builder
	text.WriteString("listeners:\n")
	for name, keys := range policyListeners {
		fmt.Fprintf(&text, "  - {name: %[1]s, address: '127.0.0.1:0'%[2]s}\n  - {name: %[1]s-tls, address: '127.0.0.1:0', tls: {certificates: [{cert: %[3]q, key: %[4]q}], clientCertificates: {mode: request, ca: %[5]q}}%[2]s}\n",
			name, keys, cert, key, authority)
	}
	fmt.Fprintf(&text, `proxy: {trustedProxies: [127.0.0.0/8], connectTimeout: 1m, timeouts: {head: 2m, idle: 10m, halfClosed: 100ms}, limits: {bodyRate: 10000000, responseRate: 10000000}, accessLog: %q}
telemetry: {tracing: {endpoint: %q, sample: 0}}
`, n.log, collector.URL)
	text.WriteString("routes:\n")
	services := "services:\n  - {id: shop, protocol: h2c, policy: round_robin, instances: [{id: a, address: A}, {id: b, address: B}, {id: c, address: C}]}\n"
	for _, p := range all {
		n.listeners[p.name] = p.on
		for i, r := range p.routes {
			fmt.Fprintf(&text, "  - {name: %s-%d, hosts: [%s.example.test], %s}\n", p.name, i, p.name, r)
		}
		if p.service != "" {
			services += fmt.Sprintf("  - {id: %s, protocol: h2c, %s}\n", p.name, p.service)
		}
	}
	text.WriteString(services)
	file := mustWrite(t, strings.NewReplacer(": A}", fmt.Sprintf(": %q}", next()), ": B}", fmt.Sprintf(": %q}", next()), ": C}", fmt.Sprintf(": %q}", next()),
		": DOWN}", fmt.Sprintf(": %q}", porttest.Address(t)), "AUTH", auth.URL, "ISSUER", issuer.URL).Replace(text.String()))
	n.process = start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	till, err := tls.X509KeyPair(n.cert, n.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range clientProtocols {
		name, secure := strings.CutSuffix(protocol, " TLS")
		tr := &http.Transport{
			Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: n.ca.Pool(), Certificates: []tls.Certificate{till}}, DisableCompression: true,
			DialContext: func(ctx context.Context, network, host string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, n.address(host, secure))
			},
		}
		tr.Protocols.SetHTTP1(name == "HTTP/1.1")
		tr.Protocols.SetHTTP2(name == "HTTP/2" && secure)
		tr.Protocols.SetUnencryptedHTTP2(name == "HTTP/2" && !secure)
		t.Cleanup(tr.CloseIdleConnections)
		n.clients[protocol] = &http.Client{Transport: tr, Timeout: maxWait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	eventually(t, "the keys of the issuer are fetched", func() bool {
		return metric(t, n.Address("admin"), `smartlb_jwks_fetches_total{jwks="`+issuer.URL+`",result="success"}`) > 0
	})
	return n, all
}

// authService admits requests with a cookie, and sends browsers to a login.
func authService(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Cookie") == "session=ann":
		w.Header().Set("Remote-User", "ann")
	case r.Header.Get("Accept") == "text/html":
		w.Header().Set("Location", "https://login.example.test/")
		w.WriteHeader(302)
	default:
		w.WriteHeader(401)
		_, _ = io.WriteString(w, "log in")
	}
}
