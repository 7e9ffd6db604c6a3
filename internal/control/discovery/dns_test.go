package discovery

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

// resolver is a DNS server whose answers a test chooses.
type resolver struct {
	addr   string
	answer atomic.Pointer[dns.HandlerFunc]
}

func newResolver(t *testing.T) *resolver {
	t.Helper()
	r := &resolver{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { (*r.answer.Load())(w, m) })
	for _, s := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: p, Handler: handler}} {
		done := make(chan struct{})
		go func() { defer close(done); _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
	return r
}

func (r *resolver) say(f dns.HandlerFunc) { r.answer.Store(&f) }

// zone answers from records in the format of zone files; other names do not exist.
func (r *resolver) zone(t *testing.T, records ...string) {
	t.Helper()
	var all []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	r.say(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Rcode = dns.RcodeNameError
		for _, rr := range all {
			if strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
				m.Rcode = dns.RcodeSuccess
				if rr.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
		}
		if _, overTCP := w.RemoteAddr().(*net.TCPAddr); !overTCP {
			m.Truncate(dns.DefaultMsgSize)
		}
		_ = w.WriteMsg(m)
	})
}

func dnsService(d config.DNSDiscovery) config.Service {
	if d.Interval == 0 {
		d.Interval = time.Hour
	}
	d.Timeout = 2 * time.Second
	return service(config.Discovery{DNS: &d, MaxInstances: 2000})
}

func TestAddressesOfAName(t *testing.T) {
	r := newResolver(t)
	r.zone(t, "app.test. 1 IN A 10.0.0.2", "app.test. 1 IN A 10.0.0.1", "app.test. 1 IN AAAA fd00::1")
	n := start(t, Config{}, dnsService(config.DNSDiscovery{Name: "App.Test", Type: "host", Port: 80, Resolvers: []string{r.addr}}))
	n.await(t, "s", "10.0.0.1:80 10.0.0.2:80 [fd00::1]:80")
	r.zone(t, "app.test. 1 IN A 10.0.0.2", "app.test. 1 IN A 10.0.0.3") // the records expire after a second
	n.await(t, "s", "10.0.0.2:80 10.0.0.3:80")
}

func TestServicesOfAName(t *testing.T) {
	r := newResolver(t)
	r.zone(t,
		"_http._tcp.app.test. 60 IN SRV 10 30 8080 a.test.", "_http._tcp.app.test. 60 IN SRV 10 10 8081 A.test.", "_http._tcp.app.test. 60 IN SRV 10 0 80 b.test.",
		"_http._tcp.app.test. 60 IN SRV 20 5 80 spare.test.", "_http._tcp.app.test. 60 IN SRV 20 5 80 b.test.",
		"a.test. 60 IN A 10.0.0.1", "b.test. 60 IN A 10.0.0.2", "b.test. 60 IN AAAA fd00::2", "spare.test. 60 IN A 10.0.0.9")
	l := look{ctx: t.Context(), servers: []string{r.addr}, ttl: time.Hour}
	got, err := l.services("_http._tcp.app.test.", 10)
	want := "[{10.0.0.1:8080 10.0.0.1:8080 2.4 map[host:a.test] false  false  false} {10.0.0.1:8081 10.0.0.1:8081 0.8 map[host:a.test] false  false  false} " +
		"{10.0.0.2:80 10.0.0.2:80 0.01 map[host:b.test] false  false  false} {fd00::2:80 [fd00::2]:80 0.01 map[host:b.test] false  false  false} {10.0.0.9:80 10.0.0.9:80 0.4 map[host:spare.test] true  false  false}]"
	if err != nil || fmt.Sprint(got) != want || l.ttl != time.Minute {
		t.Errorf("got %v, %v, valid for %v, want\n%s", got, err, l.ttl, want)
	}
	if _, err := l.services("_http._tcp.app.test.", 4); err == nil || !strings.Contains(err.Error(), "5 SRV records are more than maxInstances, which is 4") {
		t.Error(err)
	}
	r.zone(t, "_http._tcp.app.test. 60 IN SRV 0 0 0 .")
	if got, err := l.services("_http._tcp.app.test.", 4); err != nil || len(got) != 0 {
		t.Errorf("a record for no service: %v, %v", got, err)
	}
}

func TestALongAnswerComesByTCP(t *testing.T) {
	r := newResolver(t)
	var records []string
	for i := range 1000 {
		records = append(records, fmt.Sprintf("app.test. 60 IN A 10.0.%d.%d", i/250, i%250+1))
	}
	r.zone(t, records...)
	l := look{ctx: t.Context(), servers: []string{r.addr}, ttl: time.Hour}
	if got, err := l.hosts("app.test.", 80); err != nil || len(got) != 1000 {
		t.Errorf("%d instances, %v", len(got), err)
	}
}

// TestADNSThatFailsLeavesTheInstances: each way in which a resolver can fail, and names that change their type, change
// nothing.
func TestADNSThatFailsLeavesTheInstances(t *testing.T) {
	r := newResolver(t)
	good := []string{"_x._tcp.app.test. 1 IN SRV 1 1 80 a.test.", "a.test. 1 IN A 10.0.0.1"}
	code := func(code int) dns.HandlerFunc {
		return func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(q, code)) }
	}
	s := dnsService(config.DNSDiscovery{Name: "_x._tcp.app.test", Type: "srv", Resolvers: []string{r.addr}, Interval: 10 * time.Millisecond})
	s.Discovery.DNS.Timeout = 300 * time.Millisecond
	r.zone(t, good...)
	n := start(t, Config{}, s)
	n.await(t, "s", "10.0.0.1:80")
	for _, row := range []struct {
		want string
		say  func()
	}{
		{"does not exist", func() { r.zone(t) }},
		{"answers SERVFAIL", func() { r.say(code(dns.RcodeServerFailure)) }},
		{"answers REFUSED", func() { r.say(code(dns.RcodeRefused)) }},
		{"no answer in time", func() { r.say(func(dns.ResponseWriter, *dns.Msg) {}) }},
		{"the list is empty", func() { r.zone(t, "_x._tcp.app.test. 1 IN TXT x") }},
		{"the list is empty", func() { r.zone(t, "_x._tcp.app.test. 1 IN A 10.0.0.1") }},
		{"target a.test: the name does not exist", func() { r.zone(t, good[0]) }},
		{"the list is empty", func() { r.zone(t, good[0], "a.test. 1 IN TXT x") }},
		{"an address of this machine", func() { r.zone(t, good[0], "a.test. 1 IN A 127.0.0.1") }},
		{"want a port", func() { r.zone(t, "_x._tcp.app.test. 1 IN SRV 1 1 0 a.test.", good[1]) }},
		{"another question", func() {
			r.say(func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetReply(q)
				m.Question[0].Name = "other.test."
				_ = w.WriteMsg(m)
			})
		}},
		{"", func() {
			r.say(func(w dns.ResponseWriter, q *dns.Msg) { _, _ = w.Write([]byte{byte(q.Id >> 8), byte(q.Id), 0x81}) })
		}},
	} {
		r.zone(t, good...)
		eventually(t, "a good answer", func() bool { return n.Views()[0].Sources[0].Error == "" })
		row.say()
		eventually(t, "the error "+row.want, func() bool {
			got := n.Views()[0].Sources[0].Error
			return got != "" && strings.Contains(got, row.want)
		})
		if got := n.addresses("s"); got != "10.0.0.1:80" {
			t.Errorf("%s leaves %q", row.want, got)
		}
	}
}

func TestTheFirstResolverThatAnswersCounts(t *testing.T) {
	silent, bad, good := newResolver(t), newResolver(t), newResolver(t)
	silent.say(func(dns.ResponseWriter, *dns.Msg) {})
	bad.say(func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
	})
	good.zone(t, "app.test. 1 IN A 10.0.0.1")
	n := start(t, Config{}, dnsService(config.DNSDiscovery{Name: "app.test", Type: "host", Port: 80, Resolvers: []string{silent.addr, bad.addr, good.addr}}))
	n.await(t, "s", "10.0.0.1:80")
}

// TestDnsmasqServesNames asks a server that we did not write.
func TestDnsmasqServesNames(t *testing.T) {
	dnsmasq := leftout.Unless(t, "asking dnsmasq for names", "dnsmasq")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().(*net.TCPAddr)
	_ = free.Close()
	cmd := exec.Command(dnsmasq, "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=", "--pid-file="+filepath.Join(t.TempDir(), "pid"),
		"--listen-address=127.0.0.1", "--bind-interfaces", fmt.Sprint("--port=", addr.Port), "--local-ttl=1",
		"--host-record=a.test,10.0.0.1,fd00::1", "--host-record=b.test,10.0.0.2", "--cname=alias.test,a.test",
		"--srv-host=_http._tcp.app.test,a.test,8080,1,3", "--srv-host=_http._tcp.app.test,b.test,8081,2,1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for want, d := range map[string]config.DNSDiscovery{
		"10.0.0.1:80 [fd00::1]:80":                   {Name: "alias.test", Type: "host", Port: 80},
		"10.0.0.1:8080 10.0.0.2:8081 [fd00::1]:8080": {Name: "_http._tcp.app.test", Type: "srv"},
	} {
		d.Resolvers, d.Interval = []string{addr.String()}, 50*time.Millisecond
		n := start(t, Config{}, dnsService(d))
		n.await(t, "s", want)
	}
}
