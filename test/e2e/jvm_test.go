package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// distributions is where Kafka's jars are put once for all runs of the tests.
func distributions(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"java", "mvn"} {
		leftout.Unless(t, "real ZooKeeper, Kafka and Kafka Connect", tool)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "smartlb-test", "kafka")
}

// installing keeps two tests from installing at once.
var installing sync.Mutex

// jvm is a stack of real processes with a state folder and ports of its own.
type jvm struct {
	t      *testing.T
	mode   string
	state  string
	env    []string
	flags  []string
	broker string
}

type serviceStatus struct {
	Name, State, Detail, Address, Mode, Version, Log, Data string
	Healthy, Required                                      bool
	PID, Restarts                                          int
	Memory                                                 int64
}

type stackStatus struct {
	Runtime, Mode string
	Healthy       bool
	Services      []serviceStatus
}

func newJVM(t *testing.T, mode string) *jvm {
	t.Helper()
	dist := distributions(t)
	s := &jvm{t: t, mode: mode, state: t.TempDir()}
	base := porttest.Block(t, 0, 1, 2, 3, 4, 5)
	at := func(o int) string { return fmt.Sprintf("127.0.0.1:%d", base+o) }
	s.broker = at(0)
	for _, e := range cleanEnv(t) {
		if !strings.HasPrefix(e, "SMARTLB_STATE_DIR=") && !strings.HasPrefix(e, "KAFKA_BROKER=") {
			s.env = append(s.env, e)
		}
	}
	s.env = append(s.env, "SMARTLB_STATE_DIR="+s.state, "SMARTLB_KAFKA_DIR="+dist, "SMARTLB_BIN="+binary, "KAFKA_BROKER="+s.broker)
	s.flags = []string{
		"--runtime", "jvm", "--mode", mode, "--broker-listen", at(0), "--broker-internal", at(1), "--console", at(2),
		"--zookeeper", at(3), "--controller", at(3), "--connect", at(4),
	}
	installing.Lock()
	defer installing.Unlock()
	s.must("install", "--mode", mode)
	t.Cleanup(func() {
		if t.Failed() {
			for _, log := range []string{"supervisor.log", "zookeeper.log", "kafka.log", "connect.log"} {
				b, _ := os.ReadFile(filepath.Join(s.state, log))
				t.Logf("%s ends with:\n%s", log, b[max(0, len(b)-3000):])
			}
		}
		s.run("stop")
		if left := s.processes(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
			for pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return s
}

// command is smartlb kafka in the stack's environment.
func (s *jvm) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, append([]string{"kafka"}, args...)...)
	cmd.Env = s.env
	return cmd
}

func (s *jvm) run(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return output(s.t, s.command(ctx, args...))
}

func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, words strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		t.Error(err)
		return out.String(), words.String(), -1
	}
	return out.String(), words.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed.
func (s *jvm) must(args ...string) string {
	s.t.Helper()
	out, words, code := s.run(withLongTimeout(args)...)
	if code != 0 {
		s.t.Fatalf("kafka %v ended with %d\n%s\n%s", args, code, out, words)
	}
	return out
}

func (s *jvm) start() { s.t.Helper(); s.must(append([]string{"start"}, s.flags...)...) }

func (s *jvm) status() (st stackStatus, code int) {
	s.t.Helper()
	out, words, code := s.run("status", "-o", "json")
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		s.t.Fatalf("status: %v\n%s\n%s", err, out, words)
	}
	return st, code
}

func (s *jvm) service(name string) serviceStatus {
	s.t.Helper()
	st, _ := s.status()
	for _, x := range st.Services {
		if x.Name == name {
			return x
		}
	}
	s.t.Fatalf("there is no service %s", name)
	return serviceStatus{}
}

// processes are the living ones that name the state folder.
func (s *jvm) processes() map[int]string {
	out := map[int]string{}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		line, err := os.ReadFile(path)
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // the supervisor is told by it
		if strings.Contains(string(line), s.state) || strings.Contains(string(env), "SMARTLB_STATE_DIR="+s.state) {
			out[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return out
}

// script runs kafka-management.sh from another folder, as the seed types it.
func (s *jvm) script(want string, args ...string) string {
	s.t.Helper()
	path, err := filepath.Abs("../../deployment/kafka/kafka-management.sh")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = s.env, s.state
	out, words, code := output(s.t, cmd)
	if code != 0 || !regexp.MustCompile(want).MatchString(out) {
		s.t.Errorf("%v ended with %d, want 0 and %q\nstdout: %s\nstderr: %s", args, code, want, out, words)
	}
	return out
}

// killAfter is after how long a stop kills a service that does not end.
const killAfter = 30 * time.Second

// both runs a test in each mode.
func both(t *testing.T, test func(t *testing.T, s *jvm)) {
	for _, mode := range []string{"zookeeper", "kraft"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			test(t, newJVM(t, mode))
		})
	}
}

// A stack's whole life: what the seed asks for, then what may befall it.
func TestRealKafkaLivesThroughFaults(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *jvm) {
		twoStartsAtOnce(t, s)
		statusTellsAll(t, s)
		everyVerbOfTheSeed(t, s)
		brokerKilled(t, s)
		brokerSuspended(t, s)
		allKilled(t, s)
		began := time.Now()
		s.must("stop")
		// A worker that just lost its coordinator may need Kafka's own 30 s to leave its group, and Kafka stops after it.
		if took := time.Since(began); took >= 2*killAfter {
			t.Errorf("the stop took %s: more than one service had to be killed", took)
		}
		if left := s.processes(); len(left) > 0 {
			t.Errorf("after the stop: %v", left)
		}
		if st, code := s.status(); code != 10 || st.Healthy {
			t.Errorf("status after the stop: %d %+v", code, st)
		}
		portTaken(t, s)
		stopDuringStart(t, s)
		strangersPid(t, s)
		dataLost(t, s)
	})
}

func twoStartsAtOnce(t *testing.T, s *jvm) {
	var group sync.WaitGroup
	var words [2]string
	for i := range words {
		group.Go(func() {
			_, w, code := s.run(append([]string{"start"}, s.flags...)...)
			if words[i] = w; code != 0 {
				t.Errorf("start %d ended with %d: %s", i, code, w)
			}
		})
	}
	group.Wait()
	if strings.Count(words[0]+words[1], "kafka is up") != 1 || !strings.Contains(words[0]+words[1], "kafka is running already") {
		t.Errorf("two starts at once:\n%s\n%s", words[0], words[1])
	}
}

func statusTellsAll(t *testing.T, s *jvm) {
	st, code := s.status()
	want := []string{"zookeeper", "kafka", "connect", "kafka-ui", "supervisor"}
	if s.mode == "kraft" {
		want = want[1:]
	}
	if code != 0 || !st.Healthy || st.Runtime != "jvm" || st.Mode != s.mode || len(st.Services) != len(want) {
		t.Fatalf("%d %+v", code, st)
	}
	for i, x := range st.Services {
		if x.Name != want[i] || !x.Healthy || x.PID == 0 || x.Memory < 10<<20 || (x.Name != "supervisor" && (x.Version == "" || x.Address == "")) {
			t.Errorf("%+v", x)
		}
	}
	if s.mode == "zookeeper" && st.Services[0].Mode != "standalone" {
		t.Errorf("ZooKeeper's mode is %q", st.Services[0].Mode)
	}
	out := s.must("status")
	for _, want := range []string{"Listener EXTERNAL: " + s.broker + ", advertised as localhost:", "Listener INTERNAL", "Next: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, x := range want {
		if out := s.must("logs", x, "-n", "5"); x != "kafka-ui" && x != "supervisor" && strings.Count(out, "\n") == 0 {
			t.Errorf("the log of %s is empty", x)
		}
	}
	if out := s.must("logs", "kafka", "--since", "1h"); !strings.Contains(out, "started") {
		t.Errorf("the log of the last hour does not hold the start:\n%.500s", out)
	}
}

func everyVerbOfTheSeed(t *testing.T, s *jvm) {
	s.script(`kafka +running +ok`, "status")
	s.script(`service-metrics +exists`, "init-topics")
	s.script(`(?s)service-metrics.*health-scores`, "topics")
	s.script(`my-topic`, "create-topic", "my-topic", "3", "1")
	s.script(`PartitionCount: 3`, "describe-topic", "service-metrics")
	s.script(`offset 0`, "produce", "service-metrics", `{"test": "message"}`)
	s.script(`^\{"test": "message"\}\n$`, "consume", "service-metrics", "5")
	const group = "smartlb-connect" // Connect answers before it has joined it
	eventually(t, "Connect's group is there", func() bool { return strings.Contains(s.must("groups"), group) })
	s.script(group, "groups")
	s.script(group, "describe-group", group)
	s.script(`.`, "logs", "kafka")
}

// message is in the topic from everyVerbOfTheSeed on.
func messageIsThere(t *testing.T, s *jvm, after string) {
	t.Helper()
	if out := s.must("consume", "service-metrics", "5"); out != "{\"test\": \"message\"}\n" {
		t.Errorf("after %s the topic has %q", after, out)
	}
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to signal: %d", pid)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

func brokerKilled(t *testing.T, s *jvm) {
	kill(t, s.service("kafka").PID, syscall.SIGKILL)
	eventually(t, "the broker is started again", func() bool {
		x := s.service("kafka")
		return x.Healthy && x.Restarts == 1
	})
	messageIsThere(t, s, "kill -9 of the broker")
	s.script(`offset`, "produce", "my-topic", "after the crash")
}

func brokerSuspended(t *testing.T, s *jvm) {
	pid := s.service("kafka").PID
	kill(t, pid, syscall.SIGSTOP)
	eventually(t, "a suspended broker is told from a healthy one", func() bool {
		st, code := s.status()
		return code == 10 && !st.Healthy && strings.Contains(fmt.Sprint(st), "kill -CONT")
	})
	kill(t, pid, syscall.SIGCONT)
	eventually(t, "the broker goes on", func() bool { x := s.service("kafka"); return x.Healthy && x.PID == pid })
}

func allKilled(t *testing.T, s *jvm) {
	for pid := range s.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(t, "all are gone", func() bool { return len(s.processes()) == 0 && s.service("kafka").State == "failed" })
	if st, code := s.status(); code != 10 || st.Healthy {
		t.Errorf("status of the dead: %d %+v", code, st)
	}
	s.start()
	if st, _ := s.status(); !st.Healthy {
		t.Errorf("after kill -9 of everything: %+v", st)
	}
	messageIsThere(t, s, "kill -9 of everything")
}

func portTaken(t *testing.T, s *jvm) {
	l, err := net.Listen("tcp", s.broker)
	if err != nil {
		t.Fatal(err)
	}
	_, words, code := s.run(append([]string{"start"}, s.flags...)...)
	l.Close()
	if code != 1 || !strings.Contains(words, "in use") || !strings.Contains(words, fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("start with the broker's port taken: %d %s", code, words)
	}
	if st, code := s.status(); code != 10 || st.Healthy {
		t.Errorf("a start that cannot work has started something: %d %+v", code, st)
	}
	s.must("stop")
}

func stopDuringStart(t *testing.T, s *jvm) {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	cmd := s.command(ctx, append([]string{"start"}, s.flags...)...)
	done := make(chan string, 1)
	go func() {
		_, words, code := output(t, cmd)
		done <- fmt.Sprint(code, words)
	}()
	eventually(t, "Kafka is starting", func() bool { return s.service("kafka").State == "running" })
	began := time.Now()
	s.must("stop")
	if took := time.Since(began); took >= killAfter {
		t.Errorf("a stop during a start took %s", took)
	}
	if said := <-done; !strings.HasPrefix(said, "1") || !strings.Contains(said, "stopped by another command") {
		t.Errorf("the start says %s", said)
	}
	if left := s.processes(); len(left) > 0 {
		t.Errorf("after a stop during a start: %v", left)
	}
}

// A pid file names a process that has nothing to do with us.
func strangersPid(t *testing.T, s *jvm) {
	stranger := exec.Command("sleep", "300")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	record := fmt.Sprintf(`{"pid":%d,"born":"another boot/1","started":"2026-01-01T00:00:00Z","command":["java"]}`, stranger.Process.Pid)
	for _, name := range []string{"kafka.pid", "supervisor.pid"} {
		if err := os.WriteFile(filepath.Join(s.state, name), []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	messageIsThere(t, s, "a stale pid file")
	s.must("stop")
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was signalled: %v", err)
	}
}

// The metadata are lost, the records are not: that is said, not fixed.
func dataLost(t *testing.T, s *jvm) {
	lost := filepath.Join(s.state, "jvm", "zookeeper", "zookeeper")
	if s.mode == "kraft" {
		lost = filepath.Join(s.state, "jvm", "kraft", "cluster-id")
	}
	if err := os.RemoveAll(lost); err != nil {
		t.Fatal(err)
	}
	_, words, code := s.run(append([]string{"start"}, s.flags...)...)
	if code != 1 || !strings.Contains(words, "cluster") || !strings.Contains(words, "begin with empty topics") {
		t.Errorf("start without the metadata: %d %s", code, words)
	}
	s.must("stop")
}

// The memory of a start with no flags: what ran last.
func TestTheLastStartIsRemembered(t *testing.T) {
	t.Parallel()
	s := newJVM(t, "kraft")
	s.must(append(append([]string{"start"}, s.flags...), "--no-connect", "--console", "none", "--heap", "kafka=200m")...)
	if _, words, code := s.run("start", "--mode", "zookeeper"); code != 1 || !strings.Contains(words, "to change it, run smartlb kafka stop") {
		t.Errorf("another mode while it runs: %d %s", code, words)
	}
	s.must("start") // runs already
	st, _ := s.status()
	if len(st.Services) != 2 || st.Services[1].Name != "supervisor" || st.Mode != "kraft" {
		t.Errorf("%+v", st)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", st.Services[0].PID))
	if err != nil || !strings.Contains(string(line), "-Xmx200m") {
		t.Errorf("the heap is not as asked for: %s", line)
	}
	s.must("restart")
	if st, _ := s.status(); !st.Healthy || st.Mode != "kraft" || st.Services[0].Address != s.broker {
		t.Errorf("after restart: %+v", st)
	}
	s.must("stop")
}

// The main job on real Kafka: given by its address, and found because it runs.
func TestTheMainJobOnRealKafka(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *jvm) {
		s.must(append(append([]string{"start"}, s.flags...), "--no-connect", "--console", "none")...)
		env, more := cleanEnv(t), []string{"--kafka", s.broker}
		if s.mode == "kraft" {
			env, more = s.env, nil
		}
		p, web, admin, _ := demoIn(t, env, more...)
		mainJob(t, p, web, admin, s.broker, 12) // eleven instances and a load
		s.must("stop")
	})
}
