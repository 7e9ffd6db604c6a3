package stack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// The state folder, its properties and stack.json could be read by every user of
// the machine.
func TestTheStateFolderIsForItsOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	choice := Choice{Runtime: RuntimeJVM, Addresses: Addresses{Kafka: "127.0.0.1:1"}}
	if err := choice.Remember(dir); err != nil {
		t.Fatal(err)
	}
	r, err := NewJVM(JVMConfig{
		Dir: dir, Mode: properties.ModeZookeeper, Home: distribution.Home{Dir: t.TempDir(), Kafka: "3.9.2"},
		Addresses: Addresses{Kafka: "127.0.0.1:1", Zookeeper: "127.0.0.1:2", Connect: "127.0.0.1:3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Services {
		if p := s.(*Process); p.ID != KafkaName { // which asks ZooKeeper first
			if err := p.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	release, err := r.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
	seen := 0
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		seen++
		private := info.Mode().Perm()&0o077 == 0 || filepath.Base(path) == "stack.lock" // empty
		if !private {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || seen < 8 {
		t.Errorf("%d files and folders were seen: %v", seen, err)
	}
}

func TestAStateFolderOfAnOlderProgramIsClosedAndOtherFoldersAreNot(t *testing.T) {
	old, foreign := t.TempDir(), t.TempDir()
	for _, dir := range []string{old, foreign} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(choicePath(old), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]os.FileMode{old: 0o700, foreign: 0o755} {
		if err := makeFolder(dir); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", dir, info.Mode(), err, want)
		}
	}
}
