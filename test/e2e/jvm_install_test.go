package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/stack/distribution"
)

// A lock is what its roots need: resolved anew it is the same.
func TestTheLocksAreWhatTheirRootsNeed(t *testing.T) {
	t.Parallel()
	s := newJVM(t, "kraft")
	for _, version := range []string{"3.9.2", "4.3.1"} {
		want := mustRead(t, "../../deployment/kafka/kafka-"+version+".lock")
		if got := s.must("relock", version); got != want {
			t.Errorf("the lock of Kafka %s is not what its roots need today:\n%s", version, got)
		}
	}
}

// An installation from a repository over HTTP is broken off by Ctrl-C, goes on
// when it is called again, refuses a wrong jar, and is left alone when whole.
func TestInstallFromARepository(t *testing.T) {
	t.Parallel()
	s := newJVM(t, "kraft")
	lock, err := distribution.ParseLock(mustRead(t, "../../deployment/kafka/kafka-4.3.1.lock"))
	if err != nil {
		t.Fatal(err)
	}
	repository, jars := t.TempDir(), filepath.Join(distributions(t), "4.3.1", "libs")
	for _, j := range lock.Jars {
		path := filepath.Join(repository, filepath.FromSlash(j.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(jars, j.Name()), path); err != nil {
			t.Fatal(err)
		}
	}
	var asked atomic.Int64
	slow := make(chan struct{})
	files := http.FileServer(http.Dir(repository))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 40 {
			select {
			case <-slow:
			case <-r.Context().Done():
				return
			}
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	into := t.TempDir()
	args := []string{"install", "--mode", "kraft", "--no-archives", "--repository", server.URL, "--dir", into}

	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	first := s.command(ctx, args...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "forty jars are there", func() bool { return asked.Load() > 40 })
	if err := first.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	if code := first.ProcessState.ExitCode(); code != 130 {
		t.Errorf("Ctrl-C ends the installation with %d", code)
	}
	if left, _ := filepath.Glob(filepath.Join(into, "4.3.1", ".fetch*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	close(slow)
	before := asked.Load()
	s.must(args...)
	if again := asked.Load() - before; again > int64(len(lock.Jars))-30 {
		t.Errorf("%d jars are fetched again", again)
	}
	whole := asked.Load()
	if out := s.must(args...); !strings.Contains(out, "Everything was already installed") || asked.Load() != whole {
		t.Errorf("a third time: %s", out)
	}

	bad := lock.Jars[3]
	for _, path := range []string{filepath.Join(repository, filepath.FromSlash(bad.Path)), filepath.Join(into, "4.3.1", "libs", bad.Name())} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(repository, filepath.FromSlash(bad.Path)), []byte("not this"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, words, code := s.run(args...); code != 1 || !strings.Contains(words, bad.Path) || !strings.Contains(words, "not the file that the lock names") {
		t.Errorf("a wrong jar: %d %s", code, words)
	}
}
