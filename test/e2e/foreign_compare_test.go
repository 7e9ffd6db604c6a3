package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

var updateDifferences = flag.Bool("update-differences", false, "write testdata/foreign-differences.txt")

// comparing builds the programs of test/foreign that print what a broker
// answers, a line a step: Apache's Java client 4, librdkafka, kafka-python and
// kafkajs.
func comparing(t *testing.T) []foreign {
	t.Helper()
	all, err := clients(jarsOf(t, "zookeeper"))
	if err != nil {
		t.Fatal(err)
	}
	python := all[slices.IndexFunc(all, func(f foreign) bool { return f.name == "python" })].command
	root, err := filepath.Abs("../foreign")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(in, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	jars := jarsOf(t, "kraft")
	run(root, "javac", "-nowarn", "-cp", strings.Join(jars, ":"), "-d", filepath.Join(dir, "java"), filepath.Join("java", "Compare.java"))
	compare := filepath.Join(root, "python", "compare.py")
	return []foreign{
		{"java", java(append(slices.Clone(jars), filepath.Join(dir, "java")), "Compare")},
		{"librdkafka", []string{python[0], compare, "librdkafka"}},
		{"kafka-python", []string{python[0], compare, "kafka-python"}},
		{"kafkajs", []string{"node", filepath.Join(kafkajsFolder(t), "compare.js")}},
	}
}

// kafkajsFolder returns a folder with test/foreign/node and what it needs installed.
func kafkajsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../foreign/node")); err != nil {
		t.Fatal(err)
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

// answer is what a client got in one step.
type answer struct{ step, got string }

// answers runs a client against a broker.
func answers(t *testing.T, f foreign, broker string) []answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	all := append(slices.Clone(f.command), broker)
	out, words, code := output(t, exec.CommandContext(ctx, all[0], all[1:]...))
	if code != 0 {
		t.Fatalf("%s ended with %d\n%.2000s\n%.4000s", f.name, code, out, words)
	}
	var got []answer
	for line := range strings.Lines(out) {
		rest, ours := strings.CutPrefix(strings.TrimRight(line, "\n"), "= ") // clients log to the same place
		step, result, whole := strings.Cut(rest, "\t")
		if ours && whole {
			got = append(got, answer{f.name + ": " + step, result})
		}
	}
	if len(got) == 0 {
		t.Fatalf("%s did nothing\n%.2000s\n%.2000s", f.name, out, words)
	}
	return got
}

// The same programs run against the embedded broker, Kafka 3.9 and 4.3. What
// they get differently is a file that is read as documentation: a new difference
// fails here, and so does one that is gone.
func TestForeignClientsGetTheSameFromEveryRuntime(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"javac", "node", "npm"} {
		leftout.Unless(t, "foreign clients", tool)
	}
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "foreign clients", "Python 3 with venv")
	}
	all := comparing(t)
	var runtimes [3][]answer
	ask := func(i int, broker string) {
		for _, f := range all {
			runtimes[i] = append(runtimes[i], answers(t, f, broker)...)
		}
	}
	p := start(t, true, "run", "--roles", "broker", "--data", t.TempDir(), "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--admin", "127.0.0.1:0")
	ask(0, p.Address("broker"))
	p.stop(syscall.SIGTERM)
	for i, mode := range []string{"zookeeper", "kraft"} {
		s := newJVM(t, mode)
		s.flags = append(s.flags, "--no-connect")
		s.start()
		ask(i+1, s.broker)
		s.must("stop")
	}
	if len(runtimes[0]) != len(runtimes[1]) || len(runtimes[0]) != len(runtimes[2]) {
		t.Fatalf("steps: embedded %d, 3.9 %d, 4.3 %d", len(runtimes[0]), len(runtimes[1]), len(runtimes[2]))
	}
	got := "# What foreign clients get differently. Written by: go test ./test/e2e -run SameFromEveryRuntime -update-differences\n"
	for i, embedded := range runtimes[0] {
		zookeeper, kraft := runtimes[1][i].got, runtimes[2][i].got
		if embedded.got == zookeeper && embedded.got == kraft {
			continue
		}
		got += fmt.Sprintf("\n%s\n  embedded   %s\n  Kafka 3.9  %s\n  Kafka 4.3  %s\n", embedded.step, embedded.got, zookeeper, kraft)
	}
	file := filepath.Join("testdata", "foreign-differences.txt")
	if *updateDifferences {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the differences are not those of %s (-want +got)\n%s", file, diff)
	}
}
