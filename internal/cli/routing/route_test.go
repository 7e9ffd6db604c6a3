package routing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/routing"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

const routesFile = `services: [{id: s, instances: [{id: i, address: "10.0.0.1:80"}], rateLimits: [{name: total, rate: 5000/s, scope: fleet}]}]
routes:
  - {name: rest, service: s}
  - {name: users, path: {prefix: /users}, split: [{service: s, weight: 9}]}
  - {name: canary, path: {prefix: /users}, headers: [{name: X-Canary, exact: "yes"}], service: s}
  - {name: beta, path: {prefix: /users}, queryParams: [{name: beta}], cookies: [{name: tester, regex: "y.*"}], service: s}
  - {name: inside, path: {exact: /admin}, clients: [10.0.0.0/8], service: s, rateLimits: [{name: each, rate: 30/m, burst: 60, by: header:X-Key, dryRun: true}, {name: clients, rate: 100/s, by: client}]}
  - {name: shop, hosts: [shop.example.com], serverNames: [shop.example.com], redirect: {host: www.example.com}}
  - {name: web, path: {exact: /web}, listeners: [web], service: s}
  - {name: star, path: {exact: /}, methods: [OPTIONS], response: {status: 204}}
`

func routeTest(t *testing.T, args ...string) (out, words string, code int) {
	t.Helper()
	var o, w bytes.Buffer
	env := &cli.Env{In: strings.NewReader(""), Out: &o, Err: &w, Getenv: func(string) string { return "" }}
	code = cli.Execute(t.Context(), env, append([]string{"route", "test"}, args...), routing.Commands)
	return o.String(), w.String(), code
}

func TestRouteTestNamesTheRouteAndTheReasons(t *testing.T) {
	file := filepath.Join(t.TempDir(), "smartlb.yaml")
	if err := os.WriteFile(file, []byte(routesFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"GET", "http://h/users/1"}, []string{"GET http://h/users/1: route users, split s 9", "canary\tno\theader is none, want X-Canary: \"yes\"", "beta\tno\tquery parameter is none, want beta", "rest\tyes\troute users goes before it", "users\tyes\ttakes the request", "shop\tno\thost is h, want shop.example.com"}},
		{[]string{"GET", "/%75sers/../users", "-H", "x-canary: yes"}, []string{"route canary, service s"}},
		{[]string{"GET", "http://h/users?beta=1", "-H", "Cookie: a=b; tester=yes"}, []string{"route beta"}},
		{[]string{"GET", "http://h/users?beta=1", "-H", "Cookie: a=b; tester=no"}, []string{"route users", `cookie is "no", want tester matching y.*`}},
		{[]string{"GET", "/users"}, []string{"route users", "\nrate limit of service s: total 5000/s, all nodes together\nROUTE"}},
		{[]string{"GET", "/admin"}, []string{"route rest", "client is 127.0.0.1, want 10.0.0.0/8"}},
		{[]string{"GET", "/admin", "--client", "::ffff:10.1.2.3"}, []string{"route inside", "\nrate limit of route inside: each 30/m burst 60 by header:X-Key, dry run\nrate limit of route inside: clients 100/s by client\nrate limit of service s: total"}},
		{[]string{"GET", "https://shop.example.com:8443?a"}, []string{"route shop, redirect with 302"}},
		{[]string{"GET", "http://shop.example.com/"}, []string{"route rest", "server name is none, want shop.example.com"}},
		{[]string{"GET", "http://shop.example.com/", "--sni", "shop.example.com"}, []string{"route shop"}},
		{[]string{"GET", "/", "-H", "Host: shop.example.com", "--sni", "shop.example.com"}, []string{"route shop"}},
		{[]string{"GET", "/web"}, []string{"route rest", "listener is none, want web"}},
		{[]string{"GET", "/web", "--listener", "web"}, []string{"route web"}},
		{[]string{"OPTIONS", "*"}, []string{"route star, fixed response 204"}},
	} {
		out, words, code := routeTest(t, append(tc.args, "--config", file)...)
		cells := strings.NewReplacer("  ", "\t").Replace(out)
		for strings.Contains(cells, "\t\t") || strings.Contains(cells, "\t ") {
			cells = strings.NewReplacer("\t\t", "\t", "\t ", "\t").Replace(cells)
		}
		for _, want := range tc.want {
			if code != 0 || !strings.Contains(cells, want) {
				t.Errorf("%v: code %d, want %q in\n%s%s", tc.args, code, want, out, words)
			}
		}
	}
}

func TestRouteTestRefusesWhatIsNoRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "smartlb.yaml")
	if err := os.WriteFile(file, []byte(routesFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"GET"}, "URL is missing", cli.ExitUsage},
		{[]string{"GET", "shop.example.com/users"}, "want a URL such as http://shop.example.com/users, or a path", cli.ExitUsage},
		{[]string{"GET", "ftp://h/"}, "want a URL", cli.ExitUsage},
		{[]string{"GET", "/a b"}, "neither blanks nor line ends", cli.ExitUsage},
		{[]string{"GET\r\n", "/"}, "neither blanks nor line ends", cli.ExitUsage},
		{[]string{"GET", "/", "-H", "X-A"}, "want name:value", cli.ExitUsage},
		{[]string{"GET", "/", "-H", "X-A: a\r\nX-B: b"}, "want name:value", cli.ExitUsage},
		{[]string{"GET", "/", "--client", "localhost"}, "is no address", cli.ExitUsage},
		{[]string{"GET", "/%zz"}, "a proxy refuses this request with 400", cli.ExitFailed},
		{[]string{"GET", "http://user@h/"}, "a proxy refuses this request with 400", cli.ExitFailed},
		{[]string{"CONNECT", "/"}, "a proxy refuses this request with 501", cli.ExitFailed},
	} {
		if _, words, code := routeTest(t, append(tc.args, "--config", file)...); code != tc.code || !strings.Contains(words, tc.want) {
			t.Errorf("%q: code %d, %q, want %d, %q", tc.args, code, words, tc.code, tc.want)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("routes: [{name: r}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, words, code := routeTest(t, "GET", "/", "--config", bad); code != cli.ExitFailed || !strings.Contains(words, "bad.yaml:1: routes[0].service") {
		t.Errorf("code %d: %s", code, words)
	}
}

// Without a file, the routes are those of the current revision.
func TestRouteTestUsesTheCurrentConfiguration(t *testing.T) {
	k := kafkatest.New(t, event.TopicConfigUpdates)
	if _, words, code := routeTest(t, "GET", "/", "-b", k.Addr()); code != cli.ExitFailed || !strings.Contains(words, "holds no configuration yet") {
		t.Errorf("an empty log: code %d: %s", code, words)
	}
	cfg := kafka.Default()
	cfg.Brokers = []string{k.Addr()}
	document := strings.Replace(routesFile, "  - {name: rest, service: s}\n", "", 1)
	if _, err := configlog.Publish(t.Context(), cfg, configlog.Change{Document: []byte(document), Author: "ada"}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	out, words, code := routeTest(t, "GET", "/users", "-b", k.Addr(), "-o", "json")
	var got struct {
		Request, Route, Target string
		RateLimits             []struct{ Of, Name, Rate, Scope string }
		Steps                  []struct {
			Route, Missed, Want, Got string
			Matched                  bool
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Route != "users" || got.Request != "GET /users" || len(got.Steps) != 7 || fmt.Sprint(got.RateLimits) != "[{service s total 5000/s fleet}]" || got.Steps[0].Missed != "host" {
		t.Errorf("code %d, %v: %s%s", code, err, out, words)
	}
	out, words, code = routeTest(t, "GET", "/nothing", "-b", k.Addr())
	if code != cli.ExitFailed || !strings.Contains(out, "no route matches, so the client gets 404") || words != "" {
		t.Errorf("code %d: %s%s", code, out, words)
	}
}
