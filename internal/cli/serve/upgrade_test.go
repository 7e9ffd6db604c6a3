package serve

import (
	"os"
	"path/filepath"
	"testing"
)

// A link that points to another version later must start that version.
func TestTheProgramIsThePathOfTheStart(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "smartlb-1"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("smartlb-1", filepath.Join(dir, "smartlb")); err != nil {
		t.Fatal(err)
	}
	defer func(was []string) { os.Args = was }(os.Args)
	t.Chdir(dir)
	t.Setenv("PATH", dir)
	for _, name := range []string{"./smartlb", "smartlb", filepath.Join(dir, "smartlb")} {
		os.Args = []string{name}
		if got, err := program(); err != nil || got != filepath.Join(dir, "smartlb") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	os.Args = []string{"missing"}
	if got, err := program(); err == nil {
		t.Errorf("a program that is missing: %q", got)
	}
}
