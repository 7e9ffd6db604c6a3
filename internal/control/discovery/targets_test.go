package discovery

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/control/config"
)

func TestTargetsOfPrometheus(t *testing.T) {
	const js = `[
  {"targets": ["10.0.0.1:80", "[fd00::1]:81"], "labels": {"zone": "a", "__meta_x": "y", "weight": "2.5"}},
  {"targets": ["10.0.0.2:80"], "labels": {"instance": "pod-7", "backup": "true"}},
  {"targets": ["app.example.com:8080"]}
]`
	const yml = `
- targets: ["10.0.0.1:80", "[fd00::1]:81"]
  labels: {zone: a, __meta_x: y, weight: "2.5"}
- targets: [10.0.0.2:80]
  labels: {instance: pod-7, backup: "true"}
- targets: [app.example.com:8080]
`
	want := "[{10.0.0.1:80 10.0.0.1:80 2.5 map[zone:a] false  false  false} {fd00::1:81 [fd00::1]:81 2.5 map[zone:a] false  false  false} {pod-7 10.0.0.2:80 1 map[] true  false  false} {app.example.com:8080 app.example.com:8080 1 map[] false  false  false}]"
	for name, read := range map[string]func() ([]config.Instance, error){
		"JSON": func() ([]config.Instance, error) { return ParseJSON([]byte(js), 10) },
		"YAML": func() ([]config.Instance, error) { return ParseYAML([]byte(yml), 10) },
	} {
		if got, err := read(); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s gives\n%v, %v, want\n%s", name, got, err, want)
		}
	}
}

func TestWrongTargetsAreNamed(t *testing.T) {
	list := func(target string) string {
		return `[{"targets": ["10.0.0.1:80"]}, {"targets": ["10.0.0.2:80", ` + target + `]}]`
	}
	label := func(l string) string { return `[{"targets": ["10.0.0.1:80"], "labels": {` + l + `}}]` }
	for _, row := range []struct{ src, want string }{
		{"", "empty: want a list"},
		{"null", "got null"},
		{"{}", "want a list of groups"},
		{`[{"targets": "10.0.0.1:80"}]`, "targets: want a list"},
		{`[{"target": ["10.0.0.1:80"]}]`, `unknown field "target"`},
		{"[\n\n{]", "line 3"},
		{`[{"targets": ["a"`, "ends too early"},
		{"[]\n[]", "line 2: there is something after the list"},
		{list(`"x"`), `group 2, target 2 ("x"): address "x": want host:port`},
		{list(`"10.0.0.1:99999"`), "want a port from 1 to 65535"},
		{list(`"http://10.0.0.1:80"`), "group 2, target 2"},
		{list(`"10.0.0.1:80/metrics"`), "group 2, target 2"},
		{list(`"-x:80"`), `id "-x:80": want 1 to 128 letters`},
		{label(`"weight": "heavy"`), `group 1: label "weight": want a number`},
		{label(`"weight": "NaN"`), "weight want 0.01 to 1000"},
		{label(`"weight": "0"`), "weight want 0.01 to 1000"},
		{label(`"backup": "maybe"`), "want true or false"},
		{label(`"a-b": "x"`), "want a name of letters"},
		{label(`"a": "x\u0000y"`), "without control characters"},
		{label(`"instance": "_all"`), "_all"},
		{`[{"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {"instance": "x"}}]`, "has 2 targets"},
		{`[{"targets": [` + strings.Repeat(`"10.0.0.1:80",`, 100_000) + `"10.0.0.1:80"]}]`, "100001 targets are more than maxInstances, which is 5000"},
		{strings.Repeat(" ", MaxAnswer+1), "larger than 16 MiB"},
	} {
		if _, err := ParseJSON([]byte(row.src), 5000); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%.80s gives %v, want %q", row.src, err, row.want)
		}
	}
	for _, row := range []struct{ src, want string }{
		{"", "empty"}, {"targets: []", "sequence"}, {"- targets: [x]", "want host:port"}, {"- {target: [x]}", "target"}, {"&a [*a]", ""},
	} {
		if _, err := ParseYAML([]byte(row.src), 5000); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q gives %v, want %q", row.src, err, row.want)
		}
	}
}

func TestAddressesThatMustNotBeUsed(t *testing.T) {
	in := func(addresses ...string) (out []config.Instance) {
		for i, a := range addresses {
			out = append(out, config.Instance{ID: fmt.Sprint("i", i), Address: a, Weight: 1})
		}
		return out
	}
	private := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}
	for _, row := range []struct {
		found []config.Instance
		allow []netip.Prefix
		want  string // "": it is used
	}{
		{in("10.0.0.1:80", "8.8.8.8:80", "app.example.com:80", "[fd00::1]:80"), nil, ""},
		{in("127.0.0.1:80"), nil, "an address of this machine"},
		{in("[::1]:80"), nil, "an address of this machine"},
		{in("[::ffff:127.0.0.1]:80"), nil, "an address of this machine"},
		{in("localhost:80"), nil, "a name of this machine"},
		{in("a.LocalHost.:80"), nil, "a name of this machine"},
		{in("169.254.169.254:80"), nil, "a link-local address"},
		{in("[fe80::1%eth0]:80"), nil, ""}, // refused: no id or address has a zone
		{in("224.0.0.1:80"), nil, "an address of many machines"},
		{in("255.255.255.255:80"), nil, "an address of many machines"},
		{in("0.0.0.0:80"), nil, "no address of a machine"},
		{in("unix:/run/app.sock"), nil, "want host:port"},
		{in("10.0.0.1:80", "127.0.0.1:80"), private, ""},
		{in("10.0.0.1:80", "192.168.0.1:80"), private, "in no network of allow"},
		{in("app.example.com:80"), private, "is a host name, and allow wants addresses"},
		{in("10.0.0.1:80", "10.0.0.1:80"), nil, "is in the list twice"},
		{in("app.example.com:80", "APP.example.com:80"), nil, "twice"},
		{append(in("10.0.0.1:80"), in("10.0.0.2:80")...), nil, `the id "i0" is that of the target "10.0.0.1:80" already`},
		{in("10.0.0.1:7"), nil, "is a listener of this node"},
		{in("10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.1:4", "10.0.0.1:5"), nil, "5 targets are more than maxInstances, which is 4"},
	} {
		err := Check(row.found, Bounds{Most: 4, Allow: row.allow, Own: func(a string) bool { return a == "10.0.0.1:7" }})
		if strings.Contains(row.found[0].Address, "%") {
			if err == nil {
				t.Errorf("%v is used", row.found)
			}
			continue
		}
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%v: %v, want %q", row.found, err, row.want)
		}
	}
}

func FuzzTargets(f *testing.F) {
	f.Add([]byte(`[{"targets": ["10.0.0.1:80"], "labels": {"zone": "a"}}]`))
	f.Add([]byte("- targets: [10.0.0.1:80]\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, parse := range []func([]byte, int) ([]config.Instance, error){ParseJSON, ParseYAML} {
			found, err := parse(src, 100)
			if err == nil && len(found) > 100 {
				t.Fatalf("%d targets", len(found))
			}
			for _, in := range found {
				if err := in.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
