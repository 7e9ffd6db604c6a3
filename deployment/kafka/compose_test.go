package kafka_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/stack/properties"
	"github.com/smartlb/smartlb/internal/test/composetest"
)

var update = flag.Bool("update", false, "write the property files of the containers")

// containers gives the files that the containers mount, as the one source of
// properties renders them: addresses and folders are all that is their own.
func containers() map[string]properties.File {
	broker := properties.Broker{
		Data:     "/var/lib/kafka/data",
		External: properties.Listener{Listen: "0.0.0.0:9092", Advertise: "localhost:9092"},
		Internal: properties.Listener{Listen: "0.0.0.0:29092", Advertise: "kafka:29092"},
	}
	zookeeper, kraft := broker, broker
	zookeeper.Mode, zookeeper.Zookeeper = properties.ModeZookeeper, "zookeeper:2181"
	kraft.Mode, kraft.Controller = properties.ModeKRaft, properties.Listener{Listen: "0.0.0.0:9093", Advertise: "kafka:9093"}
	connect := properties.Connect{Brokers: "kafka:29092", Listen: "0.0.0.0:8084", Advertise: "connect:8084"}
	connect3, connect4 := connect, connect
	connect3.PluginPath = "/opt/kafka/libs/connect-file-3.9.2.jar" // Kafka's scripts leave it out of the class path
	connect4.PluginPath = "/opt/kafka/libs/connect-file-4.3.1.jar"
	return map[string]properties.File{
		"zoo.cfg":                        properties.Zookeeper{Data: "/data", Log: "/datalog", Listen: "0.0.0.0:2181"}.File(),
		"server.properties":              zookeeper.File(),
		"server-kraft.properties":        kraft.File(),
		"connect-distributed.properties": connect3.File(),
		"connect-kraft.properties":       connect4.File(),
	}
}

func TestContainersAreConfiguredFromTheOneSource(t *testing.T) {
	const head = "# Generated: go test ./deployment/kafka -run OneSource -update\n"
	for name, want := range containers() {
		path := filepath.Join("docker", name)
		if *update {
			if err := os.WriteFile(path, []byte(head+want.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := properties.Parse(string(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs from the source of the properties (-update writes it):\n%s", name, diff)
		}
	}
}

func TestTheComposeFileIsValidAndMountsWhatThereIs(t *testing.T) {
	for _, row := range []struct {
		profiles []string
		services []string
	}{
		{nil, []string{"connect", "kafka", "ui", "zookeeper"}},
		{[]string{"kraft"}, []string{"connect", "connect-kraft", "kafka", "kafka-kraft", "ui", "zookeeper"}},
	} {
		services := composetest.Load(t, "docker-compose.yml", row.profiles...)
		if diff := cmp.Diff(row.services, slices.Sorted(maps.Keys(services))); diff != "" {
			t.Errorf("profiles %v: %s", row.profiles, diff)
		}
		for name, s := range services {
			checkService(t, name, s)
		}
	}
}

func checkService(t *testing.T, name string, s composetest.Service) {
	t.Helper()
	_, version, pinned := strings.Cut(s.Image, ":")
	if !pinned || version == "latest" && name != "ui" {
		t.Errorf("%s: the image %s is not pinned", name, s.Image)
	}
	if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 {
		t.Errorf("%s has no health check", name)
	}
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.Memory == "" {
		t.Errorf("%s has no limit of memory", name)
	}
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			t.Errorf("%s: port %s is open to others", name, port.Published)
		}
		if port.Published == "29092" {
			t.Errorf("%s publishes the internal listener", name)
		}
	}
	volumes := 0
	for _, v := range s.Volumes {
		switch v.Type {
		case composetest.Bind:
			if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
				t.Errorf("%s mounts %s: %v, read-only %v", name, v.Source, err, v.ReadOnly)
			}
		case composetest.Stored:
			volumes++
		}
	}
	if volumes == 0 && !strings.HasPrefix(name, "connect") { // its state is in topics
		t.Errorf("%s keeps its data nowhere", name)
	}
}

// The program carries the same files as the checkout.
func TestTheProgramCarriesTheComposeFile(t *testing.T) {
	for _, name := range []string{"docker-compose.yml", "docker/zoo.cfg", "docker/server.properties", "docker/server-kraft.properties", "docker/connect-distributed.properties", "docker/connect-kraft.properties"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := deployment.Compose.ReadFile(name); err != nil || string(got) != string(want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
