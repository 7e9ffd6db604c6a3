package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// line is a record as the clients of test/foreign print and read it.
type line struct {
	Key     *string           `json:"key"`
	Value   *string           `json:"value"`
	Headers map[string]string `json:"headers"`
}

func some(s string) *string { return &s }

// foreign is a client that knows nothing of smartlb.
type foreign struct {
	name    string
	command []string // before the broker and the verb
}

func java(jars []string, more ...string) []string {
	return append([]string{"java", "-Xmx192m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", strings.Join(jars, ":")}, more...)
}

// buildingClients is held while the programs of test/foreign are built, in a folder that all tests share.
var buildingClients sync.Mutex

// clients builds the programs of test/foreign.
func clients(libs []string) ([]foreign, error) {
	buildingClients.Lock()
	defer buildingClients.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs("../foreign")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "smartlb-test", "foreign")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	run := func(in, name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
		}
		return nil
	}
	classes := filepath.Join(dir, "java")
	if err := run(root, "javac", "-cp", strings.Join(libs, ":"), "-d", classes, filepath.Join("java", "Foreign.java")); err != nil {
		return nil, err
	}
	sarama := filepath.Join(dir, "sarama")
	if err := run(filepath.Join(root, "sarama"), "go", "build", "-o", sarama, "."); err != nil {
		return nil, err
	}
	python := filepath.Join(dir, "python", "bin", "python")
	if exec.Command(python, "-c", "import confluent_kafka, kafka").Run() != nil {
		if err := run(dir, "python3", "-m", "venv", "python"); err != nil {
			return nil, err
		}
		if err := run(dir, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", filepath.Join(root, "python", "requirements.txt")); err != nil {
			return nil, err
		}
	}
	return []foreign{
		{"java", java(append(libs, classes), "Foreign")},
		{"python", []string{python, filepath.Join(root, "python", "foreign.py")}},
		{"sarama", []string{sarama}},
	}, nil
}

// target is a running Kafka of one of the local runtimes.
type target struct {
	t       *testing.T
	broker  string
	connect string // empty: none
}

// kafka runs `smartlb kafka` against the target.
func (k target) kafka(stdin string, args ...string) (stdout, stderr string, code int) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"kafka"}, args...)...)
	cmd.Env, cmd.Dir, cmd.Stdin = append(cleanEnv(k.t), "KAFKA_BROKER="+k.broker), k.t.TempDir(), strings.NewReader(stdin)
	return output(k.t, cmd)
}

func (k target) must(stdin string, args ...string) string {
	k.t.Helper()
	out, words, code := k.kafka(stdin, withLongTimeout(args)...)
	if code != 0 {
		k.t.Fatalf("kafka %v ended with %d\n%.2000s\n%s", args, code, out, words)
	}
	return out
}

func (k target) client(f foreign, stdin string, args ...string) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	all := slices.Concat(f.command, []string{k.broker}, args)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, words, code := output(k.t, cmd)
	if code != 0 {
		k.t.Fatalf("%s %v ended with %d\n%.2000s\n%.4000s", f.name, args, code, out, words)
	}
	return out
}

// UnmarshalJSON takes the headers of the foreign clients, an object, and those
// of smartlb, a list.
func (l *line) UnmarshalJSON(b []byte) error {
	var raw struct {
		Key, Value *string
		Headers    json.RawMessage
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*l = line{raw.Key, raw.Value, map[string]string{}}
	var list []struct{ Key, Value string } // a key may be there twice
	if len(raw.Headers) == 0 || raw.Headers[0] == '{' {
		if len(raw.Headers) == 0 {
			return nil
		}
		return json.Unmarshal(raw.Headers, &l.Headers)
	}
	if err := json.Unmarshal(raw.Headers, &list); err != nil {
		return err
	}
	for _, h := range list {
		l.Headers[h.Key] = h.Value
	}
	return nil
}

func lines(t *testing.T, text string) (out []line) {
	t.Helper()
	in := bufio.NewScanner(strings.NewReader(text))
	in.Buffer(nil, 32<<20)
	for in.Scan() {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatalf("%v: %.200s", err, in.Text())
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b line) int { return strings.Compare(fmt.Sprint(show(a)), fmt.Sprint(show(b))) })
	return out
}

func show(l line) string { b, _ := json.Marshal(l); return string(b) }

// exchanged is what both sides send: keys, headers, no key, and a tombstone.
func exchanged(codec string) (out []line) {
	return []line{
		{some("k1"), some("v-" + codec), map[string]string{"source": "ü", "codec": codec}},
		{nil, some("without a key"), map[string]string{}},
		{some("k2"), nil, map[string]string{}},
		{some("k3"), some(""), map[string]string{}},
		{some("k4"), some("null"), map[string]string{}},
	}
}

// text is what the foreign clients read.
func text(all []line) string {
	var b strings.Builder
	for _, l := range all {
		b.WriteString(show(l) + "\n")
	}
	return b.String()
}

// messages is what `produce --json` reads.
func messages(all []line) string {
	var b strings.Builder
	for _, l := range all {
		m := map[string]any{"key": l.Key, "value": l.Value}
		var headers []map[string]string
		for k, v := range l.Headers {
			headers = append(headers, map[string]string{"key": k, "value": v})
		}
		if len(headers) > 0 {
			m["headers"] = headers
		}
		one, _ := json.Marshal(m)
		b.WriteString(string(one) + "\n")
	}
	return b.String()
}

// Three clients of other people, kcat and Apache's tools, against every local
// runtime.
func TestForeignClientsAndSmartlbUnderstandEachOther(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"kcat", "javac"} {
		leftout.Unless(t, "foreign clients", tool)
	}
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "foreign clients", "Python 3 with venv")
	}
	libs := jarsOf(t, "zookeeper") // they hold the Java client and Apache's tools
	all, err := clients(libs)
	if err != nil {
		t.Fatal(err)
	}
	exercise := func(t *testing.T, k target) {
		for _, f := range all {
			t.Run(f.name, func(t *testing.T) { k := k; k.t = t; bothWays(t, k, f) })
		}
		t.Run("kcat", func(t *testing.T) { k := k; k.t = t; kcatBothWays(t, k) })
		t.Run("apache", func(t *testing.T) { k := k; k.t = t; apachesTools(t, k, libs) })
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		p := start(t, true, "run", "--roles", "broker", "--data", t.TempDir(), "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--admin", "127.0.0.1:0")
		defer p.stop(syscall.SIGTERM)
		k := target{t: t, broker: p.Address("broker")}
		exercise(t, k)
	})
	both(t, func(t *testing.T, s *jvm) {
		s.start()
		k := target{t: t, broker: s.broker, connect: s.service("connect").Address}
		exercise(t, k)
		t.Run("connect", func(t *testing.T) { k := k; k.t = t; throughConnect(t, k) })
	})
}

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func bothWays(t *testing.T, k target, f foreign) {
	topic, group := "from-"+f.name, "group-"+f.name
	k.must("", "topics", "create", topic, "-p", "3")
	k.must("", "topics", "create", "to-"+f.name, "-p", "3")
	var want []line
	for _, codec := range codecs {
		k.client(f, text(exchanged(codec)), "produce", topic, codec)
		want = append(want, exchanged(codec)...)
	}
	want = lines(t, text(want))
	if d := cmp.Diff(want, lines(t, k.must("", "consume", topic, "--from-beginning", "-o", "json"))); d != "" {
		t.Errorf("what %s wrote and smartlb reads (-want +got)\n%s", f.name, d)
	}
	for _, codec := range codecs {
		k.must(messages(exchanged(codec)), "produce", "to-"+f.name, "--json", "-z", codec)
	}
	got := k.client(f, "", "consume", "to-"+f.name, group, fmt.Sprint(len(want)))
	if d := cmp.Diff(want, lines(t, got)); d != "" {
		t.Errorf("what smartlb wrote and %s reads (-want +got)\n%s", f.name, d)
	}
	var groups []struct {
		Name, State string
		Lag         int64
	}
	if err := json.Unmarshal([]byte(k.must("", "groups", "describe", group, "-o", "json")), &groups); err != nil || len(groups) != 1 || groups[0].Lag != 0 || groups[0].Name != group {
		t.Errorf("the group of %s: %+v, %v", f.name, groups, err)
	}
	transactions(t, k, f)
	bigValues(t, k, f)
}

func transactions(t *testing.T, k target, f foreign) {
	topic := "transacted-" + f.name
	k.must("", "topics", "create", topic, "-p", "1")
	k.client(f, "", "transact", topic)
	// It waits for all six: Kafka answers the end of a transaction before its marker is in the log.
	if n := len(lines(t, k.client(f, "", "consume", topic, topic, "6"))); n != 6 {
		t.Errorf("%s reads %d of its committed records", f.name, n)
	}
	got := k.must("", "consume", topic, "--from-beginning")
	if want := strings.Repeat("committed\n", 6); got != want {
		t.Errorf("smartlb reads %q of three transactions of %s, want %q", got, f.name, want)
	}
}

// maxValue is what the topics promise to carry.
const maxValue = 10_485_760

func bigValues(t *testing.T, k target, f foreign) {
	if got := k.client(f, "", "big", "service-metrics", fmt.Sprint(maxValue)); strings.TrimSpace(got) != "ok" {
		t.Errorf("%s cannot write %d bytes: %s", f.name, maxValue, got)
	}
	if got := k.client(f, "", "big", "service-metrics", "11534336"); !strings.Contains(strings.ToLower(got), "large") {
		t.Errorf("%s wrote a batch beyond the limit: %s", f.name, got)
	}
	if got := k.must("", "consume", "service-metrics", "1"); len(got) != maxValue+1 {
		t.Errorf("smartlb reads %d bytes of it", len(got)-1)
	}
	topic := "big-to-" + f.name
	k.must("", "topics", "create", topic, "-p", "1", "-c", "max.message.bytes=11534336")
	value := bytes.Repeat([]byte("y"), maxValue+1)
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, value[:maxValue], 0o600); err != nil {
		t.Fatal(err)
	}
	k.must("", "produce", topic, "--file", file)
	got := lines(t, k.client(f, "", "consume", topic, topic, "1"))
	if len(got) != 1 || got[0].Value == nil || *got[0].Value != string(value[:maxValue]) {
		t.Errorf("%s reads something else than the value of %d bytes", f.name, maxValue)
	}
	if err := os.WriteFile(file, value, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, words, code := k.kafka("", "produce", topic, "--file", file); code == 0 || !strings.Contains(words, "10485760") {
		t.Errorf("one byte more: exit %d, %s", code, words)
	}
}

func kcatBothWays(t *testing.T, k target) {
	k.must("", "topics", "create", "kcat", "-p", "3")
	run := func(stdin string, args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", k.broker}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, words, code := output(t, cmd)
		if code != 0 {
			t.Fatalf("kcat %v ended with %d: %s", args, code, words)
		}
		return out
	}
	for _, codec := range codecs {
		run("k:v-"+codec+"\n", "-P", "-t", "kcat", "-K", ":", "-H", "h=1", "-z", codec)
	}
	want := []line{}
	for _, codec := range codecs {
		want = append(want, line{some("k"), some("v-" + codec), map[string]string{"h": "1"}})
	}
	want = lines(t, text(want))
	if d := cmp.Diff(want, lines(t, k.must("", "consume", "kcat", "--from-beginning", "-o", "json"))); d != "" {
		t.Errorf("what kcat wrote (-want +got)\n%s", d)
	}
	k.must("", "produce", "kcat", "from smartlb", "-k", "s", "-H", "a=b")
	if got := run("", "-C", "-t", "kcat", "-o", "beginning", "-e", "-q", "-f", "%k|%s|%h\n"); !strings.Contains(got, "s|from smartlb|a=b\n") {
		t.Errorf("kcat reads %q", got)
	}
	if got := run("", "-G", "kcat-group", "-c", "6", "-o", "beginning", "-X", "auto.offset.reset=earliest", "kcat"); strings.Count(got, "\n") != 6 {
		t.Errorf("a group of kcat reads %q", got)
	}
	if got := run("", "-L", "-t", "service-metrics"); !strings.Contains(got, "with 3 partitions") {
		t.Errorf("kcat -L says %q", got)
	}
}

// apachesTools runs the command line classes that come with Kafka.
func apachesTools(t *testing.T, k target, libs []string) {
	tool := func(stdin, class string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		all := java(libs, append([]string{class}, args...)...)
		cmd := exec.CommandContext(ctx, all[0], all[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		out, words, code := output(t, cmd)
		if code != 0 {
			t.Errorf("%s %v ended with %d\n%s\n%.2000s", class, args, code, out, words)
		}
		return out
	}
	says := func(got, want string) {
		t.Helper()
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %.2000s", want, got)
		}
	}
	const tools = "org.apache.kafka.tools."
	server := []string{"--bootstrap-server", k.broker}
	with := func(args ...string) []string { return append(slices.Clone(server), args...) }
	says(tool("", tools+"TopicCommand", with("--create", "--topic", "apache", "--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=3600000")...), "Created topic apache")
	says(tool("", tools+"TopicCommand", with("--list")...), "service-metrics")
	says(tool("", tools+"TopicCommand", with("--describe", "--topic", "apache")...), "PartitionCount: 2")
	says(k.must("", "topics", "describe", "apache"), "retention.ms=3600000")
	tool("one\ntwo\nthree\n", "kafka.tools.ConsoleProducer", with("--topic", "apache")...)
	if got := strings.Fields(k.must("", "consume", "apache", "--from-beginning")); len(got) != 3 {
		t.Errorf("of the console producer's three records smartlb reads %q", got)
	}
	k.must("", "produce", "apache", "four")
	says(tool("", tools+"consumer.ConsoleConsumer", with("--topic", "apache", "--from-beginning", "--max-messages", "4", "--group", "apache-group")...), "four")
	groups := func(args ...string) string { // it gives up after five seconds by itself, says so and ends with 0
		return tool("", tools+"consumer.group.ConsumerGroupCommand", with(append(args, "--group", "apache-group", "--timeout", fmt.Sprint(maxWait.Milliseconds()))...)...)
	}
	says(groups("--describe"), "apache")
	says(tool("", tools+"GetOffsetShell", with("--topic", "apache")...), "apache:1:")
	says(tool("", "kafka.admin.ConfigCommand", with("--describe", "--entity-type", "topics", "--entity-name", "service-metrics")...), "max.message.bytes=11534336")
	reset := groups("--reset-offsets", "--topic", "apache", "--to-earliest", "--execute")
	if got := k.must("", "groups", "describe", "apache-group"); !strings.Contains(got, "Lag: 4") {
		t.Errorf("after Apache's reset to the beginning: %s\n%s", got, reset)
	}
	says(tool("", tools+"TopicCommand", with("--delete", "--topic", "apache")...), "")
	eventually(t, "the deleted topic is gone", func() bool { return !strings.Contains(k.must("", "topics"), "apache ") })
}

// throughConnect reads a file into a topic with FileStreamSource, makes it
// fail, and restarts it.
func throughConnect(t *testing.T, k target) {
	dir := t.TempDir()
	k.must("", "topics", "create", "lines", "-p", "1", "-c", "max.message.bytes=1000")
	input, document := filepath.Join(dir, "input.txt"), filepath.Join(dir, "connector.json")
	big := bytes.Repeat([]byte("z"), maxValue)
	config, err := json.Marshal(map[string]any{"name": "file-source", "config": map[string]string{
		"connector.class": "FileStreamSource", "tasks.max": "1", "file": input, "topic": "lines",
		"value.converter": "org.apache.kafka.connect.storage.StringConverter", "batch.size": "20",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{document: config, input: slices.Concat([]byte("first\nsecond\n"), big, []byte("\n"))} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	with := func(args ...string) []string {
		return append(append([]string{"connect"}, args...), "--connect", k.connect)
	}
	k.must("", with("apply", "-f", document)...)
	if out := k.must("", with("apply", "-f", document)...); !strings.Contains(out, "unchanged") {
		t.Errorf("the same file again: %s", out)
	}
	eventually(t, "the task fails at the topic's limit", func() bool {
		out, _, _ := k.kafka("", with("describe", "file-source")...) // the worker may not have it yet
		return strings.Contains(out, "FAILED") && strings.Contains(out, "RecordTooLarge")
	})
	k.must("", "configs", "set", "lines", "max.message.bytes=11534336")
	k.must("", with("restart", "file-source", "--failed")...)
	eventually(t, "the file is in the topic, a line of 10 MB too", func() bool {
		return strings.HasSuffix(k.must("", "consume", "lines", "--from-beginning"), "first\nsecond\n"+string(big)+"\n")
	})
	k.must("", with("delete", "file-source", "--execute")...)
}
