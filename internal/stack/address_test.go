package stack

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestWhatIsAdvertisedLeadsToTheListener(t *testing.T) {
	for _, row := range []struct{ listen, here, dial string }{
		{"127.0.0.1:9092", "localhost:9092", "127.0.0.1:9092"},
		{"0.0.0.0:9092", "localhost:9092", "127.0.0.1:9092"},
		{":9092", "localhost:9092", "127.0.0.1:9092"},
		{"192.0.2.7:9092", "192.0.2.7:9092", "192.0.2.7:9092"},
		{"broker.example.com:9092", "broker.example.com:9092", "broker.example.com:9092"},
	} {
		if got := onThisMachine(row.listen); got != row.here {
			t.Errorf("%s advertises %s, want %s", row.listen, got, row.here)
		}
		if got := dialable(row.listen); got != row.dial {
			t.Errorf("%s is dialled at %s, want %s", row.listen, got, row.dial)
		}
	}
	for _, row := range []struct {
		ip, host string
		want     bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.1.1", "127.0.0.1", true},
		{"192.0.2.7", "127.0.0.1", false}, // the name kafka is somebody else's
		{"127.0.0.1", "0.0.0.0", true},
		{"192.0.2.7", "0.0.0.0", false},
		{"192.0.2.7", "192.0.2.7", true},
	} {
		if got := leadsTo(net.ParseIP(row.ip), row.host); got != row.want {
			t.Errorf("%s leads to %s: %v", row.ip, row.host, got)
		}
	}
}

func TestPickedPortsDiffer(t *testing.T) {
	a := Addresses{Kafka: "127.0.0.1:0", Internal: "127.0.0.1:0", UI: "127.0.0.1:8", Connect: "127.0.0.1:0"}
	got, err := a.PickPorts()
	if err != nil || got.UI != a.UI || got.Zookeeper != "" {
		t.Fatalf("%+v %v", got, err)
	}
	ports := []string{got.Kafka, got.Internal, got.Connect}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 3 || slices.Contains(ports, "127.0.0.1:0") {
		t.Errorf("%+v", got)
	}
	if _, err := (Addresses{Kafka: "nowhere"}).PickPorts(); err == nil {
		t.Error("an address without a port is taken")
	}
}

func TestAnyPortIsFineSoTheLastOneIs(t *testing.T) {
	last := Addresses{Kafka: "127.0.0.1:5", UI: "127.0.0.1:6"}
	got := Addresses{Kafka: "127.0.0.1:0", Internal: "127.0.0.1:0", UI: "0.0.0.0:0"}.KeepPorts(last)
	if want := (Addresses{Kafka: "127.0.0.1:5", Internal: "127.0.0.1:0", UI: "0.0.0.0:0"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTheChoiceIsReadBackAndANewerOneRefused(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := Recall(dir); ok || err != nil {
		t.Errorf("an empty folder: %v %v", ok, err)
	}
	want := Choice{Runtime: RuntimeJVM, Mode: properties.ModeKRaft, Addresses: Addresses{Kafka: "a:1"}, Heap: map[string]string{"kafka": "1g"}, Home: "/x"}
	if err := want.Remember(dir); err != nil {
		t.Fatal(err)
	}
	got, ok, err := Recall(dir)
	if err != nil || !ok || got.Mode != want.Mode || got.Addresses != want.Addresses || got.Heap["kafka"] != "1g" {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	for text, reason := range map[string]string{`{"format":99}`: "newer", `{`: "stack.json"} {
		if err := os.WriteFile(choicePath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Recall(dir); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", text, err)
		}
		if _, ok := Find(dir); ok {
			t.Errorf("%s: a stack is found", text)
		}
	}
}

// zookeeper answers the four letters until the test ends.
func zookeeper(t *testing.T, answer string) string {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			four := make([]byte, 4)
			if _, err := io.ReadFull(c, four); err == nil && string(four) == "srvr" {
				_, _ = c.Write([]byte(answer))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestZookeeperServesWhenItTellsItsMode(t *testing.T) {
	for _, row := range []struct {
		answer string
		mode   string
		err    string
	}{
		{"Zookeeper version: 3.8.4-9316c2a, built on 2024\nLatency min/avg/max: 0/0/0\nMode: standalone\nNode count: 5\n", "standalone", ""},
		{"This ZooKeeper instance is not currently serving requests\n", "", "not currently serving"},
		{"srvr is not executed because it is not in the whitelist.\n", "", "whitelist"},
		{"", "", "answers"},
	} {
		z, err := AskZookeeper(t.Context(), zookeeper(t, row.answer))
		if z.Mode != row.mode || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%q: %+v %v", row.answer, z, err)
		}
		if row.err == "" && z.Version != "3.8.4" {
			t.Errorf("version %q", z.Version)
		}
	}
	if _, err := AskZookeeper(t.Context(), porttest.Refused(t)); err == nil {
		t.Error("nobody is there, and serves")
	}
}

func TestTopicsOnDiskAreThoseOfWholePartitions(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"service-metrics-0", "service-metrics-1", "a.b_c-12", "gone-0.5f2b-delete", "__consumer_offsets-3", "__cluster_metadata-0", "plain"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file-0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := topicsIn(dir); !slices.Equal(got, []string{"a.b_c", "service-metrics"}) {
		t.Errorf("%v", got)
	}
	if got := topicsIn(filepath.Join(dir, "nowhere")); got != nil {
		t.Errorf("%v", got)
	}
}

func TestARuntimeThatCannotWorkIsRefused(t *testing.T) {
	c := JVMConfig{Dir: "/tmp/a,b", Mode: properties.ModeZookeeper, Home: distribution.Home{Dir: "/h", Kafka: "4.3.1"}, Addresses: Addresses{UI: "nowhere"}}
	_, err := NewJVM(c)
	for _, want := range []string{"no ZooKeeper", "comma", "address of the UI", "the broker needs an address"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := NewDocker(DockerConfig{}); !errors.Is(err, ErrNoDocker) {
		t.Error(err)
	}
}

func TestAClusterIdIsDrawnOnce(t *testing.T) {
	j := jvm{root: t.TempDir()}
	for range 300 {
		first, err := j.clusterID()
		if err != nil || len(first) != 22 || first[0] == '-' {
			t.Fatalf("%q %v", first, err)
		}
		if again, err := j.clusterID(); err != nil || again != first {
			t.Fatalf("%q, then %q: %v", first, again, err)
		}
		if err := os.Remove(filepath.Join(j.root, "cluster-id")); err != nil {
			t.Fatal(err)
		}
	}
	if err := sameCluster("/d/meta.properties", "version=1\ncluster.id=other\n", "mine"); err == nil || !strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
	if err := sameCluster("/d/meta.properties", "cluster.id=mine\n", "mine"); err != nil {
		t.Error(err)
	}
}

// docker is a script in the place of docker compose: it remembers what it was
// told and answers from a file.
func TestDockerIsToldWhatToDo(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(t.TempDir(), "docker")
	script := "#!/bin/sh\necho \"$@\" >>" + dir + "/calls\ncase \"$*\" in *' ps '*) for last; do :; done; cat " + dir + "/ps-$last 2>/dev/null;; *' up '*kafka*) echo pulling >&2; echo 'no such image' >&2; exit 1;; esac\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ps-zookeeper"), []byte(`{"State":"running","Status":"Up 2 minutes","Image":"zookeeper:3.8.6"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := zookeeper(t, "Mode: standalone\n")
	r, err := NewDocker(DockerConfig{
		Dir: dir, Docker: program, Files: os.DirFS("../../deployment/kafka"), Mode: properties.ModeZookeeper,
		Addresses:   Addresses{Kafka: "127.0.0.1:1", Zookeeper: at},
		KafkaHealth: func(context.Context, string, []string) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Start(t.Context(), func(string, ...any) {})
	if err == nil || !strings.Contains(err.Error(), "no such image") {
		t.Errorf("start: %v", err)
	}
	if err := r.Stop(t.Context(), func(string, ...any) {}); err != nil {
		t.Error(err)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"up -d --no-deps zookeeper", "up -d --no-deps kafka", "stop kafka", "stop zookeeper"} {
		if !strings.Contains(string(calls), want) {
			t.Errorf("docker was not told %q:\n%s", want, calls)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "docker", "docker-compose.yml")); err != nil {
		t.Error(err)
	}
}
