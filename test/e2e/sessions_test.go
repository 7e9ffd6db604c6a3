package e2e

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Sessions through real processes: on HTTP/1.1 and HTTP/2, on two nodes with the same key, over a restart and a reload, and
// until the instance is drained.
func TestSessions(t *testing.T) {
	t.Parallel()
	var addrs []any
	for _, name := range []string{"1", "2", "3"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Instance", name) }))
		defer s.Close()
		addrs = append(addrs, s.Listener.Addr())
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(strings.Repeat("0123456789abcdef", 4)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(but string) string {
		b := &strings.Builder{}
		fmt.Fprintf(b, `listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: r, service: s}]
proxy: {sessionKeys: ["${file:%s/key}"]}
services:
  - id: s
    sessionPersistence: {sessionName: SHOP}
    instances:
`, dir)
		for i := len(addrs) - 1; i >= 0; i-- {
			if id := strconv.Itoa(i + 1); id != but {
				fmt.Fprintf(b, "      - {id: i%s, address: %q}\n", id, addrs[i])
			}
		}
		return b.String()
	}
	file := mustWrite(t, text(""))
	node := func() *process {
		return start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	}
	one, two := node(), node()
	clients, instances := map[string]*http.Client{}, map[string]string{}
	ask := func(name string, p *process) string {
		t.Helper()
		res, err := clients[name].Get("http://" + p.Address("web") + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.Header.Get("X-Instance")
	}
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		defer tr.CloseIdleConnections()
		jar, _ := cookiejar.New(nil)
		clients[name] = &http.Client{Transport: tr, Jar: jar}
		instances[name] = ask(name, one)
	}
	same := func(when string, nodes ...*process) {
		t.Helper()
		for name, want := range instances {
			for range 4 {
				for _, p := range nodes {
					if in := ask(name, p); in != want {
						t.Errorf("%s, %s: %s after %s", name, when, in, want)
					}
				}
			}
		}
	}
	same("on both nodes", one, two)
	if n := metric(t, two.Address("admin"), `smartlb_service_sessions_total{result="kept",service="s"}`); n != 8 {
		t.Errorf("%v sessions were kept, want 8", n)
	}
	two.stop(syscall.SIGTERM)
	same("after a restart", node())

	gone := instances["HTTP/2"]
	if err := os.WriteFile(file, []byte(text(gone)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := one.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client moves", func() bool { return ask("HTTP/2", one) != gone })
	for name, in := range instances {
		if in == gone {
			instances[name] = ask(name, one)
		}
	}
	same("after the instance left", one)
}
