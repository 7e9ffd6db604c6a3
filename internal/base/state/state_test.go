package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNewerOpensOlderAndOlderRefusesNewer(t *testing.T) {
	dir := t.TempDir()
	first, second := Kind{"the node's data", 1}, Kind{"the node's data", 2}
	if found, err := Open(dir, first); found != 1 || err != nil {
		t.Fatalf("new folder: %d, %v", found, err)
	}
	if found, err := Open(dir, second); found != 1 || err != nil {
		t.Fatalf("newer program: %d, %v", found, err)
	}
	found, err := Open(dir, first)
	if found != 2 || !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("older program: %d, %v", found, err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, File)); string(b) != "2\n" {
		t.Fatalf("the refusal changed the version to %q", b)
	}
}

func TestAFolderFromBeforeVersionsIsTheFirst(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "node-id"), []byte("n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := Open(dir, Kind{"the node's data", 3}); found != 1 || err != nil {
		t.Fatalf("%d, %v", found, err)
	}
}

func TestADamagedVersionIsRefusedAndKept(t *testing.T) {
	for _, text := range []string{"", "x", "0", "-1", "1.5", strings.Repeat("9", 400)} {
		dir := t.TempDir()
		path := filepath.Join(dir, File)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Kind{"the node's data", 1}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", text, err)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("%.20q was overwritten", text)
		}
	}
}

func TestALockNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("a second attempt gets %v, want ErrLocked and the pid %d", err, os.Getpid())
	}
	release()
	if release, err = TryLock(path); err != nil {
		t.Fatalf("after the release: %v", err)
	}
	release()
	if _, err := TryLock(filepath.Join(t.TempDir(), "missing", "lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist gives %v", err)
	}
	if _, err := Lock(t.Context(), filepath.Join(t.TempDir(), "missing", "lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lock in a folder that does not exist gives %v, and must not wait for it", err)
	}
}

func TestALockIsWaitedForUntilTheContextEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := Lock(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("a second one gets %v", err)
	}
	got := make(chan error, 1)
	go func() {
		again, err := Lock(t.Context(), path)
		if err == nil {
			again()
		}
		got <- err
	}()
	release()
	if err := <-got; err != nil {
		t.Errorf("after the release: %v", err)
	}
}

func TestACheckChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := Check(dir, Kind{"the node's data", 2}); err != nil {
		t.Errorf("a new folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, File)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the check wrote a version: %v", err)
	}
	if _, err := Open(dir, Kind{"the node's data", 2}); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir, Kind{"the node's data", 3}); err != nil {
		t.Errorf("a newer program: %v", err)
	}
	if err := Check(dir, Kind{"the node's data", 1}); !errors.Is(err, ErrNewer) {
		t.Errorf("an older program: %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, File)); string(b) != "2\n" {
		t.Errorf("the version is %q", b)
	}
}

// A process that inherits the file of a lock keeps the lock when the first holder has closed it.
func TestALockStaysWhileAnInheritedFileIsOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := TryLockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	inherited := os.NewFile(uintptr(fd), path)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("after the first holder closed it: %v, want ErrLocked", err)
	}
	if err := Retake(inherited); err != nil {
		t.Errorf("retake: %v", err)
	}
	if b, _ := os.ReadFile(path); strings.TrimSpace(string(b)) != fmt.Sprint(os.Getpid()) {
		t.Errorf("the lock names %q", b)
	}
	if err := inherited.Close(); err != nil {
		t.Fatal(err)
	}
	release, err := TryLock(path)
	if err != nil {
		t.Fatalf("after the last holder closed it: %v", err)
	}
	release()
}

func TestUserFolder(t *testing.T) {
	for _, c := range []struct {
		name           string
		variable, home string
		want           string
	}{
		{"the variable", "/data", "/home/a", "/data"},
		{"no variable", "", "/home/a", "/home/a/.local/share"},
		{"a relative variable", "data", "/home/a", "/home/a/.local/share"},
		{"a relative variable and no home", "data", "", ""},
		{"nothing", "", "", ""},
	} {
		env := map[string]string{"XDG_DATA_HOME": c.variable, "HOME": c.home}
		if got := UserFolder(func(k string) string { return env[k] }, "XDG_DATA_HOME", ".local/share"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
