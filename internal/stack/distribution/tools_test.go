package distribution

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheClassPathSurvivesOddFolders(t *testing.T) {
	got := Home{Jars: []string{`/a b/"x".jar`, `/c\d/y.jar`}}.ArgumentFile()
	if want := "-cp\n\"/a b/\\\"x\\\".jar:/c\\\\d/y.jar\"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestToolsAreFoundByTheNamesOfApachesScripts(t *testing.T) {
	for _, name := range []string{"kafka-topics", "kafka-topics.sh", "zookeeper-shell"} {
		if _, ok := FindTool(name); !ok {
			t.Errorf("%s is not known", name)
		}
	}
	if _, ok := FindTool("kafka-topic"); ok {
		t.Error("an unknown name is a tool")
	}
}

func TestTheClassOfAToolIsTheOneThatTheVersionHas(t *testing.T) {
	jar := filepath.Join(t.TempDir(), "tools.jar")
	f, err := os.Create(jar)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	if _, err := w.Create("kafka/admin/AclCommand.class"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	h := Home{Kafka: "3.9.2", Jars: []string{jar}}
	acls, _ := FindTool("kafka-acls")
	if class, err := h.Class(acls); err != nil || class != "kafka.admin.AclCommand" {
		t.Errorf("%s, %v", class, err)
	}
	groups, _ := FindTool("kafka-share-groups")
	if _, err := h.Class(groups); err == nil || !strings.Contains(err.Error(), "Kafka 3.9.2") {
		t.Errorf("a tool that the version does not have: %v", err)
	}
}
