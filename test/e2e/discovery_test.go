package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/smartlb/smartlb/internal/test/consultest"
)

// fleet is a service whose instances come and go. Its list is in a file or at a server.
type fleet struct {
	t       *testing.T
	publish func(list string)
	mu      sync.Mutex
	servers []*http.Server
	listed  []string
}

// add starts an instance.
func (f *fleet) add() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Error(err)
		return ""
	}
	s := &http.Server{Addr: l.Addr().String(), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		_, _ = io.WriteString(w, "ok")
	})}
	f.mu.Lock()
	f.servers = append(f.servers, s)
	f.mu.Unlock()
	go s.Serve(l)
	return s.Addr
}

// list publishes the instances.
func (f *fleet) list(addresses []string) {
	f.listed = addresses
	b, err := json.Marshal([]map[string]any{{"targets": addresses, "labels": map[string]string{"zone": "a"}}})
	if err != nil {
		f.t.Error(err)
	}
	f.publish(string(b))
}

func (f *fleet) stop(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.servers, func(s *http.Server) bool { return s.Addr == address })
	_ = f.servers[i].Close()
	f.servers = slices.Delete(f.servers, i, i+1)
}

type sourcesView struct {
	Services []struct {
		ID        string
		Discovery *struct {
			Held    int
			Sources []struct {
				Source, Error string
				Instances     int
				Stale, Saved  bool
			}
		}
		Instances []struct {
			ID, Address, State, Source string
		}
	}
	Alerts []struct {
		RuleID, Status string
		Labels         map[string]string
	}
}

func sourcesOf(t *testing.T, p *process) (v sourcesView) {
	t.Helper()
	if err := getJSON(t, "http://"+p.Address("admin")+"/api/v1/overview", &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// staleServices returns the services whose alert discovery-stale fires, in order.
func staleServices(v sourcesView) (services []string) {
	for _, a := range v.Alerts {
		if a.RuleID == "discovery-stale" && a.Status == "firing" {
			services = append(services, a.Labels["service"])
		}
	}
	slices.Sort(services)
	return services
}

// names is a DNS server.
type names struct {
	t      *testing.T
	addr   string
	answer atomic.Pointer[func(q *dns.Msg) *dns.Msg]
}

func newNames(t *testing.T) *names {
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{t: t, addr: p.LocalAddr().String()}
	n.records()
	s := &dns.Server{PacketConn: p, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := (*n.answer.Load())(q); m != nil {
			_ = w.WriteMsg(m)
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return n
}

func (n *names) say(f func(q *dns.Msg) *dns.Msg) { n.answer.Store(&f) }

func (n *names) fail() {
	n.say(func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) })
}

func (n *names) silence() { n.say(func(*dns.Msg) *dns.Msg { return nil }) }

// records answers from records in the format of zone files.
func (n *names) records(texts ...string) {
	var all []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			n.t.Error(err)
			return
		}
		all = append(all, rr)
	}
	n.say(func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		for _, rr := range all {
			if rr.Header().Name == q.Question[0].Name && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		return m
	})
}

// list answers with a record for each target of a list.
func (n *names) list(list string) {
	records := []string{"x.test. 1 IN A 127.0.0.1"}
	for _, target := range targetsOf(n.t, list) {
		_, port, _ := net.SplitHostPort(target)
		records = append(records, "app.test. 1 IN SRV 0 0 "+port+" x.test.")
	}
	n.records(records...)
}

// entries returns a list as Consul gives it.
func entries(t *testing.T, list string) string {
	var all []string
	for _, target := range targetsOf(t, list) {
		host, port, _ := net.SplitHostPort(target)
		number, err := strconv.Atoi(port)
		if err != nil {
			t.Error(err)
		}
		all = append(all, consultest.Entry("node", "app", "app-"+port, host, number))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func targetsOf(t *testing.T, list string) (all []string) {
	var groups []struct{ Targets []string }
	if err := json.Unmarshal([]byte(list), &groups); err != nil {
		t.Error(err)
	}
	for _, g := range groups {
		all = append(all, g.Targets...)
	}
	return all
}

// TestInstancesComeAndGo: a rolling restart of 40 instances behind each of a file, a server, a name and Consul, and each way in which these
// can fail, cost no request. The alert fires and ends, each join and leave is in the audit log, and a node that starts while its
// sources are gone uses the last known instances.
func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	const instances, atOnce = 40, 10
	folder, data := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "f.json")
	byFile := &fleet{t: t, publish: func(list string) {
		if err := os.WriteFile(path+".next", []byte(list), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Error(err)
		}
	}}
	var answer atomic.Pointer[http.HandlerFunc]
	registry := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) })}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	say := func(f http.HandlerFunc) { answer.Store(&f) }
	byHTTP := &fleet{t: t, publish: func(list string) {
		say(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, list) })
	}}
	names := newNames(t)
	byDNS := &fleet{t: t, publish: names.list}
	catalog := consultest.New()
	var consulAnswers atomic.Pointer[http.HandlerFunc]
	sayConsul := func(f http.HandlerFunc) { consulAnswers.Store(&f) }
	sayConsul(catalog.ServeHTTP)
	consul := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*consulAnswers.Load())(w, r) }))
	defer consul.Close()
	defer consul.CloseClientConnections()
	byConsul := &fleet{t: t, publish: func(list string) {
		catalog.Change(entries(t, list))
		sayConsul(catalog.ServeHTTP)
	}}
	fleets := []*fleet{byFile, byHTTP, byDNS, byConsul}
	for _, f := range fleets {
		var all []string
		for range instances {
			all = append(all, f.add())
		}
		f.list(all)
		defer func() {
			for _, s := range f.servers {
				_ = s.Close()
			}
		}()
	}
	go registry.Serve(l)

	b := broker(t, t.TempDir(), "127.0.0.1:0")
	file := mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
discovery: {folder: `+folder+`}
routes:
  - {name: f, path: {prefix: /f}, service: f}
  - {name: h, path: {prefix: /h}, service: h}
  - {name: d, path: {prefix: /d}, service: d}
  - {name: c, path: {prefix: /c}, service: c}
services:
  - {id: f, discovery: {file: {path: f.json}, allow: [127.0.0.0/8], staleAfter: 2s}}
  - {id: h, discovery: {http: {url: "http://`+l.Addr().String()+`/h", interval: 1s, timeout: 1s}, allow: [127.0.0.0/8], staleAfter: 2s}}
  - {id: d, discovery: {dns: {name: app.test, type: srv, resolvers: ["`+names.addr+`"], interval: 1s, timeout: 1s}, allow: [127.0.0.0/8], staleAfter: 2s}}
  - {id: c, discovery: {consul: {service: app, address: "`+consul.URL+`", wait: 1s, timeout: 1s}, allow: [127.0.0.0/8], staleAfter: 2s}}
`)
	n := node(t, b.Address("broker"), file, data)
	var requests, failed atomic.Int64
	end := make(chan struct{})
	var load sync.WaitGroup
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for i := range 8 {
		url := "http://" + n.Address("web") + [...]string{"/f", "/h", "/d", "/c"}[i%4]
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				resp, err := client.Get(url)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				requests.Add(1)
				if err != nil || resp.StatusCode != 200 {
					if failed.Add(1) < 5 {
						t.Errorf("%s: %v %v", url, resp, err)
					}
				}
			}
		})
	}
	defer load.Wait()
	stopLoad := sync.OnceFunc(func() { close(end) })
	defer stopLoad()

	holds := func(f *fleet) func() bool {
		return func() bool {
			for _, s := range sourcesOf(t, n).Services {
				if s.ID != map[*fleet]string{byFile: "f", byHTTP: "h", byDNS: "d", byConsul: "c"}[f] {
					continue
				}
				have := map[string]bool{}
				for _, in := range s.Instances {
					have[in.Address] = true
				}
				for _, a := range f.listed {
					if !have[a] {
						return false
					}
				}
				return len(have) == len(f.listed)+s.Discovery.Held
			}
			return false
		}
	}
	// Each round starts ten instances, lists them in place of ten old ones, and stops these when the node has heard of it:
	// within the share of instances that may leave, or before.
	for range 4 {
		for _, f := range fleets {
			old := slices.Clone(f.listed[:atOnce])
			next := slices.Clone(f.listed[atOnce:])
			for range atOnce {
				next = append(next, f.add())
			}
			f.list(next)
			eventually(t, "the new list", holds(f))
			for _, a := range old {
				f.stop(a)
			}
		}
	}
	for _, f := range fleets {
		eventually(t, "a node with the listed instances alone", func() bool { return holds(f)() && !held(sourcesOf(t, n)) })
	}

	text := func(s string, name func()) func() {
		return func() {
			name()
			byFile.publish(s)
			say(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
		}
	}
	broken := func(w http.ResponseWriter, _ *http.Request) { // as a server that is killed
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	}
	tooMany := `[{"targets": [` + strings.Repeat(`"127.0.0.1:4710",`, 100_000) + `"127.0.0.1:4711"]}]`
	for _, row := range []struct {
		name     string
		do       func()
		inFile   string
		atServer string
		inDNS    string
		inConsul string
	}{
		{"empty", text("[]", func() { names.list("[]"); catalog.Change("[]") }), "the list is empty", "the list is empty", "the list is empty", "the list is empty"},
		{"corrupt", text(`[{"targets": ["127.0.0.1:`, func() { names.fail(); catalog.Change(`[{"Node": {`) }), "ends too early", "ends too early", "SERVFAIL", "no answer of Consul's health endpoint"},
		{"forbidden", text(`[{"targets": ["10.0.0.1:80"]}]`, func() {
			names.records("app.test. 1 IN SRV 0 0 80 x.test.", "x.test. 1 IN A 10.0.0.1")
			catalog.Change("[" + consultest.Entry("node", "app", "x", "10.0.0.1", 80) + "]")
		}), "is in no network of allow", "is in no network of allow", "is in no network of allow", "is in no network of allow"},
		{"itself", text(`[{"targets": ["`+n.Address("admin")+`"]}]`, func() {
			names.list(`[{"targets": ["` + n.Address("admin") + `"]}]`)
			catalog.Change(entries(t, `[{"targets": ["`+n.Address("admin")+`"]}]`))
		}), "is a listener of this node", "is a listener of this node", "is a listener of this node", "is a listener of this node"},
		{"malformed", text(`[{"targets": ["127.0.0.1"]}]`, func() {
			names.records("app.test. 1 IN SRV 0 0 0 x.test.", "x.test. 1 IN A 127.0.0.1")
			catalog.Change("[" + consultest.Entry("node", "app", "x", "127.0.0.1", 0) + "]")
		}), "want host:port", "want host:port", "want a port", "want a port"},
		{"twice", text(`[{"targets": ["127.0.0.1:4711", "127.0.0.1:4711"]}]`, func() {
			names.records("app.test. 1 IN A 127.0.0.1") // the name is of another type now
			catalog.Change("[" + consultest.Entry("node", "app", "x", "127.0.0.1", 4711) + "," + consultest.Entry("node", "app", "y", "127.0.0.1", 4711) + "]")
		}), "is in the list twice", "is in the list twice", "the list is empty", "is in the list twice"},
		{"100,001 targets, tokens that expired", func() {
			byFile.publish(tooMany)
			say(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tooMany) })
			names.fail()
			sayConsul(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		}, "100001 targets are more than maxInstances", "100001 targets are more than maxInstances", "SERVFAIL", "answers 403"},
		{"killed", func() {
			byFile.publish("")
			say(broken)
			names.say(func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeRefused) })
			sayConsul(broken)
		}, "empty", "EOF", "REFUSED", "EOF"},
		{"gone", func() {
			names.silence()
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			say(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			sayConsul(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, "no such file", "no answer in time", "no answer in time", "no answer in time"},
	} {
		row.do()
		eventually(t, "the error of sources: "+row.name, func() bool {
			v := sourcesOf(t, n)
			ok := 0
			for _, s := range v.Services {
				want := map[string]string{"f": row.inFile, "h": row.atServer, "d": row.inDNS, "c": row.inConsul}[s.ID]
				if strings.Contains(s.Discovery.Sources[0].Error, want) && len(s.Instances) == instances {
					ok++
				}
			}
			return ok == len(fleets) && slices.Equal(staleServices(v), []string{"c", "d", "f", "h"})
		})
	}
	out, errs, code := smartlb(t, "discovery", "--admin", n.Address("admin"))
	if code != 0 || strings.Count(out, "stale") != len(fleets) || !strings.Contains(out, "no such file or directory") {
		t.Errorf("smartlb discovery: %d %s\n%s", code, errs, out)
	}
	eventually(t, "the joins and leaves in the audit log", func() bool {
		out, _, _ := smartlb(t, "audit", "-n", "200", "-b", b.Address("broker"), "-o", "json")
		return strings.Count(out, "change.instances") >= 8 && strings.Contains(out, "10 joined from file f.json: ") && strings.Contains(out, " left from http http://"+l.Addr().String()+"/h: ")
	})
	stopLoad()
	load.Wait()
	if failed.Load() > 0 || requests.Load() < 1000 {
		t.Errorf("%d of %d requests failed", failed.Load(), requests.Load())
	}

	n.stop(syscall.SIGTERM)
	n = node(t, b.Address("broker"), file, data)
	for _, path := range []string{"/f", "/h", "/d", "/c"} {
		resp, err := client.Get("http://" + n.Address("web") + path)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("after a restart without the sources, %s: %v %v", path, resp, err)
		}
		_ = resp.Body.Close()
	}
	for _, f := range fleets {
		f.list(f.listed)
	}
	eventually(t, "sources that work, and the end of the alerts", func() bool {
		v := sourcesOf(t, n)
		for _, s := range v.Services {
			if d := s.Discovery.Sources[0]; d.Error != "" || d.Saved || d.Stale || len(s.Instances) != instances || s.Instances[0].Source != d.Source {
				return false
			}
		}
		return len(staleServices(v)) == 0
	})
}

func held(v sourcesView) bool {
	for _, s := range v.Services {
		if s.Discovery.Held > 0 {
			return true
		}
	}
	return false
}
