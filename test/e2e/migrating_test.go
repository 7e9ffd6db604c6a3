package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// The files of docs/migrating.md about headers, rewrites, redirects and conditions do the same in HAProxy, nginx and
// smartlb.
func TestRulesOfOtherProxiesAnswerAlike(t *testing.T) {
	t.Parallel()
	haproxy, nginx := leftout.Unless(t, "rules of HAProxy", "haproxy"), leftout.Unless(t, "rules of nginx", "nginx")
	instance := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "secret")
			fmt.Fprintf(w, "%s %s %q %q", name, r.RequestURI, r.Header["X-Client"], r.Header["X-Debug"])
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	shop, next := instance("shop"), instance("next")
	ha, ng, dir := porttest.Address(t), porttest.Address(t), t.TempDir()
	inside := fmt.Sprintf("access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;\n", dir)
	// file writes a file of the docs with the addresses of this test, and for nginx with folders that it may write.
	file := func(name, listen, address, before string) string {
		src, err := os.ReadFile("../../docs/examples/migrating/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return mustWrite(t, before+strings.NewReplacer("10.0.1.11:8080", shop, "10.0.1.21:8080", next, listen, address, "http {\n", "http {\n"+inside).Replace(string(src)))
	}
	beside(t, haproxy, "-db", "-f", file("haproxy-rules.cfg", "bind :80", "bind "+ha, ""))
	beside(t, nginx, "-p", dir, "-e", "stderr", "-c", file("nginx-rules.conf", "listen 80;", "listen "+ng+";", fmt.Sprintf("daemon off;\nmaster_process off;\npid %s/pid;\n", dir)))
	listens(t, "HAProxy", ha)
	listens(t, "nginx", ng)
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file("rules.smartlb.yaml", `":80"`, `"127.0.0.1:0"`, ""), "--admin", "127.0.0.1:0", "--data", t.TempDir())

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(addr, target, cookie string) string {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+addr+target, nil)
		req.Header.Set("X-Client", "forged")
		req.Header.Set("X-Debug", "1")
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 {
			return fmt.Sprintf("%d %s", res.StatusCode, res.Header.Get("Location"))
		}
		frames := ""
		if !strings.HasPrefix(string(body), "User-agent") { // HAProxy does not add headers to its own responses
			frames = res.Header.Get("X-Frame-Options")
		}
		return fmt.Sprintf("200 %s %s %v", frames, body, res.Header.Get("Server") == "secret")
	}
	for _, tc := range []struct{ target, cookie, want string }{
		{"/", "", `200 DENY shop / ["127.0.0.1"] [] false`},
		{"/robots.txt", "", `200  User-agent: * false`},
		{"/old/a?b=%20", "", "308 https://www.example.com/old/a?b=%20"},
		{"/admin/x", "", "403 "},
		{"/api/a?b", "", `200 DENY shop /v2/a?b ["127.0.0.1"] [] false`},
		{"/apix", "", `200 DENY shop /apix ["127.0.0.1"] [] false`},
		{"/x?a&beta=1", "", `200 DENY next /x?a&beta=1 ["127.0.0.1"] [] false`},
		{"/x?beta=2", "", `200 DENY shop /x?beta=2 ["127.0.0.1"] [] false`},
		{"/x", "a=b; tester=yes", `200 DENY next /x ["127.0.0.1"] [] false`},
	} {
		for name, addr := range map[string]string{"HAProxy": ha, "nginx": ng, "smartlb": p.Address("web")} {
			if got := ask(addr, tc.target, tc.cookie); got != tc.want {
				t.Errorf("%s %s: got %s, want %s", name, tc.target, got, tc.want)
			}
		}
	}
}
