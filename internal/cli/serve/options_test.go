package serve

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
)

// Both keys were read and then forgotten.
func TestDrainAndDataOfTheFileCountUnlessAFlagDoes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte("proxy: {drain: 7s}\ndata: {dir: /from/file}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why   string
		args  []string
		env   map[string]string
		drain time.Duration
		data  string
	}{
		{why: "nothing is said", drain: 3 * time.Second},
		{why: "the file", args: []string{"--config", file}, drain: 7 * time.Second, data: "/from/file"},
		{why: "the environment before the file", args: []string{"--config", file}, env: map[string]string{"SMARTLB_PROXY_DRAIN": "9s", "SMARTLB_DATA_DIR": "/from/env"}, drain: 9 * time.Second, data: "/from/env"},
		{why: "a flag before both", args: []string{"--config", file, "--drain", "3s", "--data", "here"}, env: map[string]string{"SMARTLB_PROXY_DRAIN": "9s"}, drain: 3 * time.Second, data: "here"},
	} {
		var n nodeFlags
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		n.declare(f, 3*time.Second)
		if err := f.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if _, _, err := n.load(&cli.Env{Getenv: func(k string) string { return c.env[k] }}); err != nil {
			t.Errorf("%s: %v", c.why, err)
		}
		if n.drain != c.drain || n.data != c.data {
			t.Errorf("%s: drain %s, data %q; want %s, %q", c.why, n.drain, n.data, c.drain, c.data)
		}
	}
}

// A node's brokers, and who gets the credentials.
func TestCredentialsStayWithTheirBrokers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const login = "sasl: {mechanism: PLAIN, user: node, password: '${env:SECRET}'}"
	both := write("both.yaml", "kafka: {brokers: [inside:9093], "+login+"}\n")
	loginOnly := write("login.yaml", "kafka: {"+login+"}\n")
	bare := write("bare.yaml", "kafka: {brokers: [inside:9092]}\n")
	write("profiles.yaml", "profiles:\n  prod: {brokers: ['prod:9093'], sasl: {mechanism: PLAIN, user: prod, password: '${env:SECRET}'}}\nuse: prod\n")
	for _, c := range []struct {
		why     string
		args    []string
		env     map[string]string
		brokers string // empty: refused
		user    string
	}{
		{why: "the file", args: []string{"--config", both}, brokers: "inside:9093", user: "node"},
		{why: "an ambient broker never gets them", args: []string{"--config", both}, env: map[string]string{"KAFKA_BROKER": "localhost:9092"}},
		{why: "unless it is the file's", args: []string{"--config", both}, env: map[string]string{"KAFKA_BROKER": "inside:9093"}, brokers: "inside:9093", user: "node"},
		{why: "or was named on purpose", args: []string{"--config", both}, env: map[string]string{"KAFKA_BROKER": "localhost:9092", "SMARTLB_KAFKA_BROKERS": "other:9093"}, brokers: "other:9093", user: "node"},
		{why: "or by a flag", args: []string{"--config", both, "--kafka", "other:9093"}, env: map[string]string{"KAFKA_BROKER": "localhost:9092"}, brokers: "other:9093", user: "node"},
		{why: "a file without brokers leaves them to the environment", args: []string{"--config", loginOnly}, env: map[string]string{"KAFKA_BROKER": "other:9093"}, brokers: "other:9093", user: "node"},
		{why: "nothing secret, nothing to guard", args: []string{"--config", bare}, env: map[string]string{"KAFKA_BROKER": "localhost:9092"}, brokers: "localhost:9092"},
		{why: "a profile, instead of the file's", args: []string{"--config", both, "--profile", "prod"}, env: map[string]string{"KAFKA_BROKER": "localhost:9092"}, brokers: "prod:9093", user: "prod"},
		{why: "a profile's login for brokers named beside it", args: []string{"--profile", "prod", "--kafka", "two:9093"}, brokers: "two:9093", user: "prod"},
		{why: "the profile in use is the person's, not the node's", brokers: "localhost:9092"},
		{why: "an unknown profile", args: []string{"--profile", "prd"}},
	} {
		var n nodeFlags
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		n.declare(f, time.Second)
		if err := f.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		d, _, err := n.load(&cli.Env{Getenv: func(k string) string {
			if k == "SMARTLB_CONFIG_DIR" {
				return dir
			}
			return c.env[k]
		}})
		if got := strings.Join(d.Kafka.Brokers, ","); err != nil && c.brokers != "" || err == nil && (got != c.brokers || d.Kafka.SASL.User != c.user) {
			t.Errorf("%s: %q as %q, %v; want %q as %q", c.why, got, d.Kafka.SASL.User, err, c.brokers, c.user)
		}
	}
}

// settings returns the settings of a node that starts with these arguments.
func settings(t *testing.T, args ...string) (config.Document, *pflag.FlagSet) {
	t.Helper()
	var n nodeFlags
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	n.declare(f, 30*time.Second)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	d, _, err := n.load(&cli.Env{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	own, err := n.listenFlags(d)
	if err != nil {
		t.Fatal(err)
	}
	if d.Listeners, _, err = app.Listeners([]config.Listener{{Name: "web", Address: ":8080"}}, own); err != nil {
		t.Fatal(err)
	}
	d.Proxy.Drain, d.Proxy.LameDuck, d.Data.Dir = n.drain, n.lameDuck, n.data
	return d, f
}

// valueAt returns the value of a key such as listeners[].address, of the first element of a list.
func valueAt(t *testing.T, v reflect.Value, path string) any {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		name, ofList := strings.CutSuffix(name, "[]")
		i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool { return f.Tag.Get("yaml") == name })
		if i < 0 {
			t.Fatalf("%s: no key %s", path, name)
		}
		v = v.FieldByIndex(reflect.VisibleFields(v.Type())[i].Index)
		if ofList {
			v = v.Index(0)
		}
	}
	return v.Interface()
}

// The reference names the flag of each key, and no other flag sets a key.
func TestFlagsOfTheReferenceSetTheirKeys(t *testing.T) {
	page, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	before, flags := settings(t)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\|.*<br>Flag `--(\\S+)`").FindAllStringSubmatch(string(page), -1) {
		path, flag := m[1], m[2]
		named[flag] = true
		f := flags.Lookup(flag)
		if f == nil {
			t.Errorf("%s: there is no flag --%s", path, flag)
			continue
		}
		value := map[string]string{"bool": "true", "duration": "7s", "string": "x"}[f.Value.Type()]
		switch flag {
		case "kafka", "admin", "console", "listen":
			value = "127.0.0.1:7"
		case "explain-from":
			value = "10.0.0.0/8"
		}
		after, _ := settings(t, "--"+flag+"="+value)
		if reflect.DeepEqual(valueAt(t, reflect.ValueOf(before), path), valueAt(t, reflect.ValueOf(after), path)) {
			t.Errorf("--%s %s does not set %s", flag, value, path)
		}
	}
	ofNoKey := []string{"config", "config-source", "watch", "profile", "broker-listen", "broker-internal", "insecure-listen", "with-parent", "ready-file"}
	flags.VisitAll(func(f *pflag.Flag) {
		if named[f.Name] == slices.Contains(ofNoKey, f.Name) {
			t.Errorf("--%s: the reference must name it with its key, or this test as a flag without a key", f.Name)
		}
	})
}
