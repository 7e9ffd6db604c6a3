package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// more starts another broker of the stack's cluster, with the jars and the
// settings of the first.
func (s *jvm) more(id int, dir string) (addr string, broker *exec.Cmd) {
	s.t.Helper()
	conf := filepath.Join(s.state, "jvm", s.mode, "conf")
	base := porttest.Block(s.t, 0, 1)
	addr = fmt.Sprintf("127.0.0.1:%d", base)
	text := mustRead(s.t, filepath.Join(conf, "server.properties"))
	for key, value := range map[string]string{
		"broker.id": fmt.Sprint(id), "log.dirs": filepath.Join(dir, "log"),
		"listeners":            fmt.Sprintf("EXTERNAL://%s,INTERNAL://127.0.0.1:%d", addr, base+1),
		"advertised.listeners": fmt.Sprintf("EXTERNAL://%s,INTERNAL://127.0.0.1:%d", addr, base+1),
	} {
		text = regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(key)+`=.*$`).ReplaceAllString(text, key+"="+value)
	}
	properties := filepath.Join(dir, "server.properties")
	log4j := strings.ReplaceAll(mustRead(s.t, filepath.Join(conf, "kafka.log4j.properties")), s.state, dir)
	for path, content := range map[string]string{properties: text, filepath.Join(dir, "log4j.properties"): log4j} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := exec.Command("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j.configuration=file:"+filepath.Join(dir, "log4j.properties"),
		"@"+filepath.Join(conf, "classpath"), "kafka.Kafka", properties)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return addr, cmd
}

func (s *jvm) brokers() (n int) {
	var list []json.RawMessage
	out, _, _ := s.run("brokers", "-o", "json")
	_ = json.Unmarshal([]byte(out), &list)
	return len(list)
}

// A cluster of three brokers, of which one dies and one hangs: what was made is
// known wherever one asks next, nothing acknowledged is lost, the doctor names
// who is missing, and a broker that hangs keeps nobody waiting.
func TestThreeBrokers(t *testing.T) {
	t.Parallel()
	s := newJVM(t, "zookeeper")
	s.start()
	second, hangs := s.more(2, t.TempDir())
	dir := t.TempDir()
	third, dies := s.more(3, dir)
	s.env = append(s.env, "KAFKA_BROKER="+strings.Join([]string{third, second, s.broker}, ","))
	eventually(t, "three brokers", func() bool { return s.brokers() == 3 })

	for i := range 5 { // each command asks any of the brokers
		name := fmt.Sprint("t", i)
		s.must("topics", "create", name, "-p", "3", "-r", "3")
		s.must("topics", "describe", name)
		s.must("produce", name, "hello")
		s.must("topics", "add-partitions", name, "4", "--execute")
		if got := s.must("topics", "describe", name, "-o", "json"); strings.Count(got, `"leader"`) != 4 {
			t.Errorf("after it grew: %s", got)
		}
		s.must("topics", "delete", name, "--execute")
		if got := s.must("topics", "list"); strings.Contains(got, name+" ") {
			t.Errorf("it was deleted: %s", got)
		}
		s.must("topics", "create", name, "-p", "1", "-r", "3") // at once again
	}

	s.must("topics", "create", "orders", "-p", "6", "-r", "3", "-c", "min.insync.replicas=2")
	acked := map[string]bool{}
	send := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			text := fmt.Sprintf("order-%d.", i)
			s.must("produce", "orders", text, "-k", text, "--timeout", "30s")
			acked[text] = true
		}
	}
	send(0, 10)
	_ = dies.Process.Kill()
	_ = dies.Wait()
	send(10, 20) // some go to partitions that it led
	eventually(t, "the doctor names who is missing", func() bool {
		out, _, _ := s.run("doctor")
		return strings.Contains(out, "not in the cluster: broker 3 (") && strings.Contains(out, "orders (6)")
	})
	eventually(t, "the console names it too", func() bool {
		var h struct{ Checks []struct{ ID, Cause string } }
		if getJSON(t, "http://"+s.service("kafka-ui").Address+"/api/v1/health", &h) != nil {
			return false
		}
		for _, c := range h.Checks {
			if c.ID == "under-replicated" && strings.Contains(c.Cause, "broker 3 (") {
				return true
			}
		}
		return false
	})

	_ = hangs.Process.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = hangs.Process.Signal(syscall.SIGCONT) })
	eventually(t, "the cluster goes on without it", func() bool { return s.brokers() == 1 })
	for range 6 { // a client that began with the one that hangs would wait for ten seconds
		s.must("topics", "describe", "orders", "--timeout", "9s")
		s.must("produce", "t0", "still here", "--timeout", "9s")
	}
	if _, _, code := s.run("produce", "orders", "one", "-k", "one", "--timeout", "4s"); code == 0 {
		t.Error("one replica of two that are wanted took a record")
	}
	_ = hangs.Process.Signal(syscall.SIGCONT)
	eventually(t, "it is back", func() bool { return s.brokers() == 2 })
	eventually(t, "two replicas take records", func() bool {
		_, _, code := s.run("produce", "orders", "two", "-k", "two", "--timeout", "5s")
		return code == 0
	})
	got := s.must("consume", "orders", "--from-beginning", "--timeout", "30s")
	for text := range acked {
		if !strings.Contains(got, text) {
			t.Errorf("%s was acknowledged and is lost", text)
		}
	}
}
