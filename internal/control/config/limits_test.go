package config

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// frontEndKeys lists the keys of both sections with their defaults as people
// write them.
func frontEndKeys() map[string]string {
	out := map[string]string{}
	d := Default().Proxy
	for section, v := range map[string]reflect.Value{"limits": reflect.ValueOf(d.Limits), "timeouts": reflect.ValueOf(d.Timeouts)} {
		for i := range v.NumField() {
			value := fmt.Sprint(v.Field(i).Interface())
			if t, ok := v.Field(i).Interface().(time.Duration); ok {
				value = strings.TrimSuffix(strings.TrimSuffix(t.String(), "0s"), "0m")
				if t < time.Hour {
					value = fmt.Sprintf("%ds", int(t.Seconds()))
				}
			}
			out["proxy."+section+"."+v.Type().Field(i).Tag.Get("yaml")] = value
		}
	}
	return out
}

// Every key stands in the docs with its default.
func TestLimitsAndTimeoutsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := frontEndKeys()
	if len(keys) < 13 {
		t.Fatalf("%d keys", len(keys))
	}
	for key, value := range keys {
		if !strings.Contains(string(page), "| `"+key+"` | "+value+" |") {
			t.Errorf("docs/http.md has no row for %s with the default %s", key, value)
		}
	}
}

// A value out of range is an error with its line, also from the environment.
func TestLimitsOutOfRangeAreRefused(t *testing.T) {
	for key, bad := range map[string][]string{
		"limits.headBytes": {"0", "1023", "65536"}, "limits.headers": {"0", "-1", "1001"}, "limits.targetBytes": {"0", "63", "16385"},
		"limits.bodyBytes": {"-1"}, "limits.connectionsPerClient": {"-1", "10000001"}, "limits.connections": {"-1", "10000001"}, "limits.idlePerInstance": {"0", "1", "65537"}, "limits.bodyRate": {"-1", "1073741825"}, "limits.responseRate": {"-1", "1073741825"}, "limits.memoryBytes": {"-1", "1", "67108863", "1125899906842625"},
		"timeouts.idle": {"0s", "99ms", "1000h", "5"}, "timeouts.head": {"0s"}, "timeouts.body": {"0s"}, "timeouts.stream": {"0s"},
		"timeouts.halfClosed": {"0s"}, "timeouts.upload": {"1ms", "-1s", "1000h"}, "timeouts.tunnel": {"0s"}, "timeouts.keep": {"0s", "-1s"},
	} {
		section, name, _ := strings.Cut(key, ".")
		for _, value := range bad {
			_, err := Parse([]byte("proxy:\n  " + section + ":\n    " + name + ": " + value + "\n"))
			if err == nil || !strings.Contains(err.Error(), "line 3: proxy."+key+": ") {
				t.Errorf("%s: %s gives %v", key, value, err)
			}
			d := Default()
			variable := "SMARTLB_PROXY_" + strings.ToUpper(section) + "_" + upperSnake(name)
			if err := Environment(&d, func(n string) string {
				if n == variable {
					return value
				}
				return ""
			}); err == nil {
				t.Errorf("%s=%s is taken", variable, value)
			}
		}
	}
	d, err := Parse([]byte("proxy:\n  limits: {headBytes: 32768, targetBytes: 30000}\n  timeouts: {stream: 24h}\n"))
	if err != nil || d.Proxy.Limits.TargetBytes != 30000 || d.Proxy.Limits.Headers != 100 || d.Proxy.Timeouts.Stream != 24*time.Hour || d.Proxy.Timeouts.Idle != time.Minute {
		t.Errorf("%v, %+v", err, d.Proxy)
	}
}

// The keys of the traffic document that replace those of the proxy have the same bounds, and are compiled.
func TestLimitsOfListenersRoutesAndServices(t *testing.T) {
	const document = `listeners:
  - {name: web, address: ":80", %s}
routes:
  - {name: all, service: s, %s}
services:
  - {id: s, instances: [{id: a, address: "127.0.0.1:1"}], %s}
`
	for _, tc := range []struct {
		listener, route, service string
		want                     string // the beginning of the error; empty: valid
	}{
		{listener: "limits: {bodyBytes: 0, connections: 5}, timeouts: {idle: 1s, upload: 0s}, http1Only: true"},
		{listener: "reusePort: true, backlog: 100, keepAlive: 1m"},
		{listener: "backlog: 65536", want: "line 2: listeners[0].backlog: want 0 to 65535"},
		{listener: "keepAlive: 1s", want: "line 2: listeners[0].keepAlive: want 3s to 24h"},
		{listener: "keepAlive: 0s", want: "line 2: listeners[0].keepAlive: want 3s to 24h"},
		{listener: "limits: {bodyBytes: -1}", want: "line 2: listeners[0].limits.bodyBytes: want 0 to"},
		{listener: "limits: {connections: -1}", want: "line 2: listeners[0].limits.connections: want 0 to"},
		{listener: "timeouts: {idle: 0s}", want: "line 2: listeners[0].timeouts.idle: want 100ms to"},
		{listener: "timeouts: {tunnel: 1000h}", want: "line 2: listeners[0].timeouts.tunnel: want 100ms to"},
		{listener: "timeouts: {upload: 5ms}", want: "line 2: listeners[0].timeouts.upload: want 0s, or 100ms to"},
		{listener: "timeouts: {stream: 1s}", want: "line 2: listeners[0].timeouts.stream: unknown key"},
		{route: "streamTimeout: 0s"},
		{route: "streamTimeout: 50ms", want: "line 4: routes[0].streamTimeout: want 0s, or 100ms to"},
		{service: "connections: {limit: 10, connectTimeout: 5ms, idle: 2, keep: 1s}, proxyProtocol: v2"},
		{service: "connections: {limit: -1}", want: "line 6: services[0].connections.limit: want 0 to"},
		{service: "connections: {connectTimeout: 0s}", want: "line 6: services[0].connections.connectTimeout: want 1ms to"},
		{service: "connections: {idle: 1}", want: "line 6: services[0].connections.idle: want 2 to"},
		{service: "connections: {keep: 0s}", want: "line 6: services[0].connections.keep: want 100ms to"},
		{service: "proxyProtocol: v3", want: `line 6: services[0].proxyProtocol: unknown value "v3", want v1 or v2`},
		{service: "proxyProtocol: v1, protocol: h2c", want: "line 6: services[0].proxyProtocol: a connection of HTTP/2 carries requests of many clients"},
		{service: "protocol: h2c, grpcFailures: [UNAVAILABLE, UNKNOWN]"},
		{service: "protocol: h2c, grpcFailures: []"},
		{service: "protocol: h2c, grpcFailures: [OK]", want: `line 6: services[0].grpcFailures[0]: unknown status "OK"`},
		{service: "protocol: h2c, grpcFailures: [unavailable]", want: `line 6: services[0].grpcFailures[0]: unknown status "unavailable", want one of CANCELLED`},
		{service: "grpcFailures: [UNAVAILABLE]", want: "line 6: services[0].grpcFailures: has no effect"},
	} {
		_, err := Parse(fmt.Appendf(nil, document, cmp.Or(tc.listener, "mode: \"\""), cmp.Or(tc.route, "timeout: 0s"), cmp.Or(tc.service, "strictness: tolerant")))
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%+v: %v", tc, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
			t.Errorf("%+v gives %v", tc, err)
		}
	}
}

func TestHowInstancesAreSpokenTo(t *testing.T) {
	d, err := Parse([]byte(`routes: [{name: all, service: s, streamTimeout: 0s}, {name: b, path: {prefix: /b}, service: s, streamTimeout: 5s}]
services:
  - {id: s, protocol: h2c, strictness: strict, grpcFailures: [UNKNOWN], connections: {limit: 7, connectTimeout: 1s, idle: 3, keep: 9s}, instances: [{id: a, address: "127.0.0.1:1"}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile(d.Traffic, "1", func(string) *upstream.Service { return upstream.NewService("s") }, Local{})
	if err != nil {
		t.Fatal(err)
	}
	for path, stream := range map[string]time.Duration{"/": -1, "/b": 5 * time.Second} {
		var r h1.Request
		if _, bad := r.Parse([]byte("GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"), new(h1.Limits{}.WithDefaults())); bad != nil {
			t.Fatal(bad)
		}
		route, ok := table.Routes.Match(&r, router.Peer{})
		if !ok || route.StreamTimeout != stream {
			t.Fatalf("%s: %+v", path, route)
		}
		want := dispatch.Leg{HTTP2: true, Strict: true, GRPCFailures: 1 << 2, MaxConnections: 7, ConnectTimeout: time.Second, MaxIdle: 3, KeepTimeout: 9 * time.Second}
		if got := *route.Split[0].Leg; got != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
