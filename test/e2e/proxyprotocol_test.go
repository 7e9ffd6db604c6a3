package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Balancers of other people send PROXY headers to the real process, in the clear and before TLS. HAProxy writes both
// versions, with its health checks; curl writes version 1.
func TestForeignBalancersNameTheirClients(t *testing.T) {
	t.Parallel()
	haproxy := leftout.Unless(t, "PROXY headers", "haproxy")
	curl := leftout.Unless(t, "PROXY headers", "curl")
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	}))
	defer instance.Close()
	certPEM, keyPEM := certtest.New(t, "e2e").IssuePEM(certtest.Options{}, "127.0.0.1")
	cert, key := certtest.Files(t, t.TempDir(), "server", certPEM, keyPEM)
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "127.0.0.1:0", proxyProtocol: {from: [127.0.0.0/8]}}
  - {name: secure, address: "127.0.0.1:0", proxyProtocol: {from: [127.0.0.0/8]}, tls: {certificates: [{cert: %q, key: %q}]}}
routes: [{name: all, service: shop}]
services: [{id: shop, instances: [{id: i, address: %q}]}]
`, cert, key, instance.Listener.Addr()))
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	n := node(t, b.Address("broker"), file, t.TempDir())

	one, two, secure := porttest.Address(t), porttest.Address(t), porttest.Address(t)
	conf := mustWrite(t, fmt.Sprintf(`defaults
    mode tcp
    timeout connect 10s
    timeout client 1m
    timeout server 1m
    default-server inter 100ms
listen one
    bind %s
    server web %s send-proxy check
listen two
    bind %s
    server web %s send-proxy-v2 proxy-v2-options crc32c,unique-id check
listen secure
    bind %s
    server web %s send-proxy-v2 check
`, one, n.Address("web"), two, n.Address("web"), secure, n.Address("secure")))
	beside(t, haproxy, "-db", "-f", conf)
	for _, addr := range []string{one, two, secure} {
		listens(t, "HAProxy", addr)
	}
	ask := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(curl, append([]string{"-sS", "-k", "--max-time", "60"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("curl %v: %v %s", args, err, out)
		}
		return string(out)
	}
	const client = "127.0.0.9" // another address than that of HAProxy and of direct connections
	for _, url := range []string{"http://" + one + "/", "http://" + two + "/", "https://" + secure + "/"} {
		for range 3 {
			if got := ask("--interface", client, url); got != client {
				t.Errorf("%s: X-Forwarded-For %q, want %s", url, got, client)
			}
		}
	}
	for _, url := range []string{"http://" + n.Address("web") + "/", "https://" + n.Address("secure") + "/"} {
		if got := ask("--haproxy-protocol", "--interface", client, url); got != client {
			t.Errorf("%s: X-Forwarded-For %q, want %s", url, got, client)
		}
	}
	if out, err := exec.Command(curl, "-sS", "http://"+n.Address("web")+"/").CombinedOutput(); err == nil || !strings.Contains(string(out), "Empty reply") {
		t.Errorf("without a header curl gets %q", out)
	}
	eventually(t, "the health checks of HAProxy arrive", func() bool {
		return metric(t, n.Address("admin"), `smartlb_proxy_protocol_connections_total{result="local"}`) > 0
	})
	for _, result := range []string{"malformed", "too-long", "truncated"} {
		if n := metric(t, n.Address("admin"), `smartlb_proxy_protocol_connections_total{result="`+result+`"}`); n > 0 {
			t.Errorf("%v connections are counted as %s", n, result)
		}
	}
}

// Programs of other people read the PROXY headers that the real process sends to instances, those of its health checks
// too. HAProxy and nginx refuse a connection without a header.
func TestForeignInstancesReadOurProxyHeaders(t *testing.T) {
	t.Parallel()
	haproxy := leftout.Unless(t, "PROXY headers to instances", "haproxy")
	nginx := leftout.Unless(t, "PROXY headers to instances", "nginx")
	curl := leftout.Unless(t, "PROXY headers to instances", "curl")
	ha, ng, dir := porttest.Address(t), porttest.Address(t), t.TempDir()
	beside(t, haproxy, "-db", "-f", mustWrite(t, fmt.Sprintf(`defaults
    mode http
    timeout connect 10s
    timeout client 1m
    timeout server 1m
frontend web
    bind %s accept-proxy
    http-request return status 200 content-type text/plain lf-string "%%[src]"
`, ha)))
	beside(t, nginx, "-p", dir, "-e", "stderr", "-c", mustWrite(t, fmt.Sprintf(`daemon off;
master_process off;
pid %s/pid;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
    server { listen %[2]s proxy_protocol; location / { return 200 $proxy_protocol_addr; } }
}
`, dir, ng)))
	listens(t, "HAProxy", ha)
	listens(t, "nginx", ng)
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes:
  - {name: one, path: {prefix: /one}, service: one}
  - {name: two, path: {prefix: /two}, service: two}
  - {name: three, path: {prefix: /three}, service: three}
services:
  - {id: one, proxyProtocol: v1, healthCheck: {path: /, interval: 200ms}, instances: [{id: i1, address: %[1]q}]}
  - {id: two, proxyProtocol: v2, healthCheck: {type: tcp, interval: 200ms}, instances: [{id: i2, address: %[1]q}]}
  - {id: three, proxyProtocol: v2, healthCheck: {path: /, interval: 200ms}, instances: [{id: i3, address: %[2]q}]}
`, ha, ng))
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	n := node(t, b.Address("broker"), file, t.TempDir())
	const client = "127.0.0.9"
	for id, path := range map[string]string{"i1": "/one", "i2": "/two", "i3": "/three"} {
		eventually(t, "the health checks of "+path+" pass", func() bool {
			var past struct{ Probes []struct{ OK bool } }
			return getJSON(t, "http://"+n.Address("admin")+"/api/v1/instances/"+id+"/past", &past) == nil && len(past.Probes) > 2 && past.Probes[len(past.Probes)-1].OK
		})
		for range 3 {
			out, err := exec.Command(curl, "-sS", "--max-time", "60", "--interface", client, "http://"+n.Address("web")+path).CombinedOutput()
			if err != nil || string(out) != client {
				t.Errorf("%s: the instance saw %q, %v", path, out, err)
			}
		}
	}
}

// listens waits until a program accepts connections at an address.
func listens(t *testing.T, program, addr string) {
	t.Helper()
	eventually(t, program+" listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// beside starts a program until the test ends.
func beside(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}
