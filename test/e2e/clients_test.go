package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/telemetry/window"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

// sdk is a client of the folder clients, built and installed as its users do.
type sdk struct {
	name       string
	emit, live []string // commands that print the messages of the corpus, and that report
	dir        string
	env        []string
}

// built runs a command of a client in a folder and returns what it wrote.
func built(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*maxWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, words, code := output(t, cmd)
	if code != 0 {
		t.Fatalf("%v ended with %d\n%.4000s\n%.4000s", command, code, out, words)
	}
	return out
}

func pythonSDK(t *testing.T, dir, python string) sdk {
	dir = filepath.Join(dir, "python")
	made := t.TempDir()
	built(t, dir, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", filepath.Join(made, "backend"), "setuptools==80.9.0")
	built(t, dir, []string{"PYTHONPATH=" + filepath.Join(made, "backend")}, python, "-c", "import setuptools.build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')")
	if _, err := os.Stat(filepath.Join(dir, "dist", "smartlb_report-0.1.0.tar.gz")); err != nil {
		t.Error(err)
	}
	built(t, dir, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", filepath.Join(made, "installed"), "dist/smartlb_report-0.1.0-py3-none-any.whl")
	if _, err := os.Stat(filepath.Join(made, "installed", "smartlb_report", "py.typed")); err != nil {
		t.Error("the package says nothing of its types:", err)
	}
	env := []string{"PYTHONPATH=" + filepath.Join(made, "installed")}
	built(t, dir, env, python, "-m", "unittest", "discover", "-s", "tests")
	return sdk{"python", []string{python, "tests/emit.py"}, []string{python, "tests/live.py"}, dir, env}
}

func nodeSDK(t *testing.T, dir string) sdk {
	dir = filepath.Join(dir, "node")
	built(t, dir, nil, "npm", "test", "--silent")
	built(t, dir, nil, "npm", "pack", "--silent")
	user := kafkajsFolder(t)
	built(t, user, nil, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline", filepath.Join(dir, "smartlb-report-0.1.0.tgz"))
	live := filepath.Join(user, "live.mjs")
	text, err := os.ReadFile(filepath.Join(dir, "test", "live.js"))
	if err == nil {
		err = os.WriteFile(live, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sdk{"node", []string{"node", "test/corpus.js"}, []string{"node", live}, dir, nil}
}

func javaSDK(t *testing.T, dir string, libs []string) sdk {
	dir = filepath.Join(dir, "java")
	built(t, dir, []string{"MAVEN_OPTS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m"}, "mvn", "-q", "-B", "-ntp", "package")
	target := filepath.Join(dir, "target")
	jar := filepath.Join(target, "smartlb-report-0.1.0.jar")
	if _, err := os.Stat(filepath.Join(target, "smartlb-report-0.1.0-sources.jar")); err != nil {
		t.Error(err)
	}
	path := append([]string{jar, filepath.Join(target, "test-classes")}, libs...)
	return sdk{"java", java(path, "smartlb.report.Corpus"), java(path, "smartlb.report.Live"), dir, nil}
}

// TestClients builds the clients for Python, Node.js and Java, runs their tests, compares their messages with the corpus, and runs
// them as instances beside a broker.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"mvn", "javac", "node", "npm"} {
		leftout.Unless(t, "clients of other languages", tool)
	}
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "clients of other languages", "Python 3 with venv")
	}
	libs := jarsOf(t, "zookeeper")
	programs, err := clients(libs)
	if err != nil {
		t.Fatal(err)
	}
	python := programs[slices.IndexFunc(programs, func(f foreign) bool { return f.name == "python" })].command[0]
	dir := t.TempDir()
	for _, name := range []string{"python", "node", "java"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS("../../clients/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	corpus, err := os.ReadFile("../../clients/corpus.json")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "corpus.json"), corpus, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	kafka := broker(t, t.TempDir(), "127.0.0.1:0").Address("broker")
	for name, build := range map[string]func(*testing.T) sdk{
		"python": func(t *testing.T) sdk { return pythonSDK(t, dir, python) },
		"node":   func(t *testing.T) sdk { return nodeSDK(t, dir) },
		"java":   func(t *testing.T) sdk { return javaSDK(t, dir, libs) },
	} {
		t.Run(name, func(t *testing.T) {
			s := build(t)
			s.sameAsCorpus(t, corpus)
			s.reports(t, kafka)
			s.dropsWithoutBroker(t)
		})
	}
}

// sameAsCorpus compares the messages that a client makes of the corpus with those of package report, as smartlb reads them.
func (s sdk) sameAsCorpus(t *testing.T, raw []byte) {
	t.Helper()
	type wanted struct {
		Name      string
		Want      json.RawMessage
		Latencies [][2]float64
	}
	var corpus struct{ Reports, Announcements []wanted }
	if err := json.Unmarshal(raw, &corpus); err != nil {
		t.Fatal(err)
	}
	all := append(corpus.Reports, corpus.Announcements...)
	n := 0
	for line := range strings.Lines(built(t, s.dir, s.env, s.emit...)) {
		var got struct {
			Topic, Name, Value string
			Headers            map[string]string
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		want := all[n]
		n++
		var a, b any
		var err, err2 error
		if got.Topic == event.TopicHealthStatus {
			a, err = event.DecodeHealthStatus(want.Want)
			b, err2 = event.DecodeHealthStatus([]byte(got.Value))
		} else {
			a, err = event.DecodeServiceMetrics(want.Want)
			b, err2 = event.DecodeServiceMetrics([]byte(got.Value))
		}
		if d := cmp.Diff(a, b); err != nil || err2 != nil || d != "" || got.Name != want.Name {
			t.Errorf("%s, %s: %v %v (-corpus +client)\n%s", s.name, want.Name, err, err2, d)
		}
		sketch, err := base64.StdEncoding.DecodeString(got.Headers[event.HeaderLatency])
		if err != nil || (len(sketch) > 0) != (len(want.Latencies) > 0) {
			t.Errorf("%s, %s: a sketch of %d bytes, %v", s.name, want.Name, len(sketch), err)
		}
		if len(sketch) > 0 {
			checkSketch(t, s.name+", "+want.Name, sketch, want.Latencies)
		}
	}
	if n != len(all) || n == 0 {
		t.Errorf("%s made %d messages of %d", s.name, n, len(all))
	}
}

// checkSketch compares number and median of latencies. A sketch may put two neighbours into one bucket.
func checkSketch(t *testing.T, name string, sketch []byte, latencies [][2]float64) {
	t.Helper()
	if err := window.CheckSketch(sketch); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	k, want := window.NewSketch(), window.NewSketch()
	if err := k.Merge(sketch); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	for _, l := range latencies {
		want.AddCount(min(max(l[0], .001), 360_000), l[1])
	}
	a, _ := want.Quantile(.5)
	b, _ := k.Quantile(.5)
	if k.Count() != want.Count() || b < a/1.1 || b > a*1.1 {
		t.Errorf("%s: %v latencies with the median %v, want %v with %v", name, k.Count(), b, want.Count(), a)
	}
}

// reports runs an instance and reads what it says.
func (s sdk) reports(t *testing.T, broker string) {
	t.Helper()
	id, secret := "live-"+s.name, sign.NewSecret()
	ring, err := sign.Config{Keys: []sign.Key{{ID: "live-team", Secret: "${env:SECRET}"}}}.Ring(func(string) string { return secret }, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(r *kgo.Record) bool {
		return ring.Verify(r.Topic, r.Key, r.Value, []byte(header(r, sign.Header))).SpeaksFor("live")
	}
	cmd := exec.Command(s.live[0], append(slices.Clone(s.live[1:]), broker, "live", id, "127.0.0.1:4711", secret)...)
	cmd.Dir, cmd.Env = s.dir, append(cleanEnv(t), s.env...)
	var words strings.Builder
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if <-ended; t.Failed() {
			t.Logf("%s wrote %.4000s", id, words.String())
		}
	})
	busy := func(records []*kgo.Record) bool {
		return slices.ContainsFunc(records, func(r *kgo.Record) bool {
			m, err := event.DecodeServiceMetrics(r.Value)
			k := window.NewSketch()
			return err == nil && m.InstanceID == id && m.Address == "127.0.0.1:4711" && string(r.Key) == "live" && header(r, event.HeaderReporter) == "" && signed(r) && r.Timestamp.Equal(m.Timestamp) &&
				m.Metrics.RPS.Value > 0 && m.Metrics.Utilization == event.Some(.5) && m.Metrics.CPUUsage.Set && m.Metrics.MemoryUsage.Value > 0 &&
				k.Merge([]byte(header(r, event.HeaderLatency))) == nil && k.Count() > 0
		})
	}
	if !busy(consume(t, broker, event.TopicServiceMetrics, busy)) {
		t.Errorf("%s reports nothing", s.name)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, id+" ends", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	states := func(records []*kgo.Record) (all []string) {
		for _, r := range records {
			if h, err := event.DecodeHealthStatus(r.Value); err == nil && h.InstanceID == id && h.Address == "127.0.0.1:4711" && signed(r) {
				all = append(all, h.Status)
			}
		}
		return all
	}
	got := states(consume(t, broker, event.TopicHealthStatus, func(records []*kgo.Record) bool { return len(states(records)) >= 2 }))
	if !slices.Equal(got, []string{event.StatusHealthy, event.StatusDraining}) {
		t.Errorf("%s said %v", s.name, got)
	}
}

// dropsWithoutBroker: a client without a broker returns at once, and counts what it drops.
func (s sdk) dropsWithoutBroker(t *testing.T) {
	t.Helper()
	var published, delivered, dropped int
	out := built(t, s.dir, s.env, append(slices.Clone(s.live), "127.0.0.1:1")...)
	if _, err := fmt.Sscan(out, &published, &delivered, &dropped); err != nil || published != 700 || delivered != 0 || dropped < 99 {
		t.Errorf("%s without a broker: %d published, %d delivered, %d dropped, %v: %s", s.name, published, delivered, dropped, err, out)
	}
}
