package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/stack/properties"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Real Kafka Connect, a demanding Java client (compacted topics, groups, a
// producer and readers that stay), keeps its work on the embedded broker, also
// over a kill of the broker.
func TestRealConnectRunsOnTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"zookeeper", "kraft"} { // 3.9 and 4.3
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			jars := jarsOf(t, mode)
			dir := t.TempDir()
			base := porttest.Block(t, 0, 1)
			addr, rest := fmt.Sprintf("127.0.0.1:%d", base), fmt.Sprintf("127.0.0.1:%d", base+1)
			embedded := func() *process {
				return start(t, true, "run", "--roles", "broker", "--data", filepath.Join(dir, "data"), "--broker-listen", addr, "--broker-internal", "", "--admin", "127.0.0.1:0")
			}
			b := embedded()
			file := filepath.Join(dir, "connect.properties")
			if err := os.WriteFile(file, []byte(properties.Connect{Brokers: addr, Listen: rest}.File().String()), 0o644); err != nil {
				t.Fatal(err)
			}
			log, err := os.Create(filepath.Join(dir, "connect.log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			worker := exec.Command("java", "-Xmx256m", "-Xms32m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", strings.Join(jars, ":"), "org.apache.kafka.connect.cli.ConnectDistributed", file)
			worker.Stdout, worker.Stderr = log, log
			if err := worker.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = worker.Process.Signal(syscall.SIGTERM)
				done := make(chan struct{})
				go func() { _ = worker.Wait(); close(done) }()
				select {
				case <-done:
				case <-time.After(maxWait):
					_ = worker.Process.Kill()
					<-done
				}
				if t.Failed() {
					text, _ := os.ReadFile(log.Name())
					t.Logf("the end of Connect's log:\n%s", text[max(0, len(text)-4000):])
				}
			})
			eventually(t, "Connect answers", func() bool {
				var names []string
				return getJSON(t, "http://"+rest+"/connectors", &names) == nil
			})
			input, output := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.txt")
			add := func(text string) {
				f, err := os.OpenFile(input, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteString(text); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			add("one\ntwo\n")
			if out, words, code := smartlb(t, "kafka", "topics", "create", "lines", "-p", "1", "-b", addr, "--timeout", maxWait.String()); code != 0 {
				t.Fatal(out, words)
			}
			put := func(name, config string) {
				req, err := http.NewRequest(http.MethodPut, "http://"+rest+"/connectors/"+name+"/config", strings.NewReader(config))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := (&http.Client{Timeout: maxWait}).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode/100 != 2 {
					t.Fatalf("%s: %s", name, resp.Status)
				}
			}
			converter := `"key.converter":"org.apache.kafka.connect.storage.StringConverter","value.converter":"org.apache.kafka.connect.storage.StringConverter"`
			put("source", fmt.Sprintf(`{"connector.class":"FileStreamSource","tasks.max":"1","file":%q,"topic":"lines",%s}`, input, converter))
			put("sink", fmt.Sprintf(`{"connector.class":"FileStreamSink","tasks.max":"1","file":%q,"topics":"lines",%s}`, output, converter))
			arrived := func(want string) func() bool {
				return func() bool {
					text, _ := os.ReadFile(output)
					return string(text) == want
				}
			}
			eventually(t, "the lines went through", arrived("one\ntwo\n"))

			b.stop(syscallKill)
			add("three\n")
			embedded()
			eventually(t, "lines go on after a kill of the broker", func() bool {
				text, _ := os.ReadFile(output)
				return strings.HasPrefix(string(text), "one\ntwo\n") && strings.Contains(string(text), "three\n")
			})
			if out, _, code := smartlb(t, "kafka", "consume", "lines", "--from-beginning", "-b", addr); code != 0 || out != "one\ntwo\nthree\n" {
				t.Errorf("the topic holds %q", out)
			}
		})
	}
}
