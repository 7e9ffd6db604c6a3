package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/stack/properties"
	"github.com/smartlb/smartlb/internal/test/composetest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// machine is this machine in the place of a container engine: the commands of
// the compose file run from the same jars, with the files that they mount, in
// which only folders, names and ports are exchanged.
type machine struct {
	t       *testing.T
	libs    string
	ports   map[string]int // by the port in the container
	folders map[string]string
}

// mains are the classes that the scripts of the images start.
var mains = map[string]string{
	"/opt/kafka/bin/kafka-server-start.sh":  "kafka.Kafka",
	"/opt/kafka/bin/kafka-storage.sh":       "kafka.tools.StorageTool",
	"/opt/kafka/bin/connect-distributed.sh": "org.apache.kafka.connect.cli.ConnectDistributed",
	"zkServer.sh":                           "org.apache.zookeeper.server.quorum.QuorumPeerMain",
}

// value exchanges what a container has for what this machine has.
func (m *machine) value(v string) string {
	for inside, port := range m.ports {
		for _, host := range []string{"0.0.0.0", "kafka", "zookeeper", "connect"} {
			v = strings.ReplaceAll(v, host+":"+inside, fmt.Sprintf("127.0.0.1:%d", port))
		}
		v = strings.ReplaceAll(v, "localhost:"+inside, fmt.Sprintf("localhost:%d", port))
		if v == inside {
			v = fmt.Sprint(port)
		}
	}
	for inside, outside := range m.folders {
		if v == inside {
			return outside
		}
	}
	switch v {
	case "0.0.0.0", "connect":
		return "127.0.0.1"
	}
	return strings.ReplaceAll(v, "/opt/kafka/libs", m.libs)
}

// mount gives each volume a folder and each file that is mounted a copy.
func (m *machine) mount(s composetest.Service) {
	for _, v := range s.Volumes {
		if v.Type == composetest.Stored {
			m.folders[v.Target] = m.t.TempDir()
		}
	}
	for _, v := range s.Volumes {
		if v.Type != composetest.Bind {
			continue
		}
		b, err := os.ReadFile(v.Source)
		if err != nil {
			m.t.Fatal(err)
		}
		f, err := properties.Parse(string(b))
		if err != nil {
			m.t.Fatal(err)
		}
		for i := range f {
			f[i].Value = m.value(f[i].Value)
		}
		path := filepath.Join(m.t.TempDir(), filepath.Base(v.Target))
		if err := os.WriteFile(path, []byte(f.String()), 0o600); err != nil {
			m.t.Fatal(err)
		}
		m.folders[v.Target] = path
	}
}

// start runs what the container would.
func (m *machine) start(name string, s composetest.Service) {
	m.mount(s)
	commands := [][]string{s.Command}
	switch {
	case len(s.Command) == 0: // ZooKeeper's image has its own
		commands = [][]string{{"zkServer.sh", "/conf/zoo.cfg"}}
	case s.Command[0] == "bash":
		commands = nil
		for part := range strings.SplitSeq(s.Command[2], "&&") {
			commands = append(commands, strings.Fields(strings.TrimPrefix(strings.TrimSpace(part), "exec ")))
		}
	}
	for i, words := range commands {
		main, known := mains[words[0]]
		if !known {
			m.t.Fatalf("%s runs %q, which is in no image", name, words[0])
		}
		args := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
		for _, variable := range []string{"KAFKA_HEAP_OPTS", "JVMFLAGS"} {
			if v := s.Environment[variable]; v != nil {
				args = append(args, strings.Fields(*v)...)
			}
		}
		args = append(args, "-cp", filepath.Join(m.libs, "*"), main)
		for _, w := range words[1:] {
			if at, ok := m.folders[w]; ok {
				w = at
			}
			args = append(args, w)
		}
		m.run(name, i == len(commands)-1, args)
	}
}

// run starts a Java process that lives as long as the test, or waits for its
// end.
func (m *machine) run(name string, stays bool, args []string) {
	path := filepath.Join(m.t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command("java", args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, filepath.Dir(path)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait(); out.Close() }()
	show := func() {
		b, _ := os.ReadFile(path)
		m.t.Logf("%s: %v\n%s", name, args[len(args)-2:], b[max(0, len(b)-3000):])
	}
	if !stays {
		select {
		case err := <-done:
			if err != nil {
				show()
				m.t.Fatal(err)
			}
		case <-time.After(maxWait):
			m.t.Errorf("%s does not end", name)
			_ = cmd.Process.Kill()
			<-done
		}
		return
	}
	m.t.Cleanup(func() {
		if m.t.Failed() {
			show()
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(maxWait):
			m.t.Errorf("%s does not end", name)
			_ = cmd.Process.Kill()
			<-done
		}
	})
}

func TestTheContainersCommandsRunFromTheJars(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *jvm) {
		all := composetest.Load(t, "../../deployment/kafka/docker-compose.yml", "kraft")
		version, services := "3.9.2", []string{"zookeeper", "kafka", "connect"}
		if s.mode == "kraft" {
			version, services = "4.3.1", []string{"kafka-kraft", "connect-kraft"}
		}
		base := porttest.Block(t, 0, 1, 2, 3, 4)
		m := &machine{
			t: t, libs: filepath.Join(distributions(t), version, "libs"), folders: map[string]string{},
			ports: map[string]int{"9092": base, "29092": base + 1, "9093": base + 2, "2181": base + 3, "8084": base + 4},
		}
		for _, name := range services {
			service, known := all[name]
			if !known {
				t.Fatalf("there is no service %s", name)
			}
			m.start(name, service)
			if strings.HasPrefix(name, "kafka") {
				for _, listener := range []int{base, base + 1} {
					tenMegabytes(t, fmt.Sprintf("127.0.0.1:%d", listener))
				}
			}
		}
		var plugins []struct{ Class string }
		eventually(t, "Connect answers", func() bool {
			return getJSON(t, fmt.Sprintf("http://127.0.0.1:%d/connector-plugins", base+4), &plugins) == nil
		})
		if !strings.Contains(fmt.Sprint(plugins), "FileStreamSource") {
			t.Errorf("Connect's plugins: %v", plugins)
		}
	})
}

// tenMegabytes waits for a broker, writes the largest value that is promised to
// fit, and reads it back.
func tenMegabytes(t *testing.T, broker string) {
	t.Helper()
	value := make([]byte, 10<<20)
	for i := range value {
		value[i] = byte(i * i >> 7)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerBatchMaxBytes(11<<20), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ConsumeTopics("large"), kgo.FetchMaxPartitionBytes(12<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	eventually(t, "the broker answers", func() bool { return c.Ping(ctx) == nil })
	createTopic(ctx, t, c, "large")
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "large", Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		for _, r := range c.PollFetches(ctx).Records() {
			if string(r.Value) == string(value) {
				return
			}
		}
	}
	t.Error("the large value does not come back")
}

// createTopic creates a topic, unless it exists.
func createTopic(ctx context.Context, t *testing.T, c *kgo.Client, name string) {
	t.Helper()
	resp, err := kadm.NewClient(c).CreateTopic(ctx, 1, 1, nil, name)
	if err != nil && !errors.Is(resp.Err, kerr.TopicAlreadyExists) {
		t.Fatal(err)
	}
}
