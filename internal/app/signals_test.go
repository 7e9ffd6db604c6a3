package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Lines written while the file is moved away and reopened are in one of the two
// files, whole and once.
func TestReopenedLogLosesNoLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	l, err := newLogFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const lines, rotations = 2000, 20
	var wg sync.WaitGroup
	wg.Go(func() {
		for range lines {
			if _, err := l.Write([]byte("a line\n")); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range rotations {
		if err := os.Rename(path, path+"."+string(rune('a'+i))); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(""); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	n := 0
	for _, f := range files {
		b, _ := os.ReadFile(f)
		n += strings.Count(string(b), "a line\n")
	}
	if len(files) != rotations+1 || n != lines {
		t.Errorf("%d lines in %d files, want %d in %d", n, len(files), lines, rotations+1)
	}
}

func TestLogThatCannotBeReopenedIsWrittenOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := newLogFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Reopen(filepath.Join(path, "below a file")); err == nil {
		t.Fatal("no error")
	}
	if _, err := l.Write([]byte("x")); err != nil || l.path != path {
		t.Errorf("%v, path %s", err, l.path)
	}
}

func TestSettingsThatNeedARestartAreNamed(t *testing.T) {
	was, is := config.Default(), config.Default()
	if got := needRestart(was, is); len(got) != 0 {
		t.Errorf("equal: %q", got)
	}
	is.Proxy.AccessLog = "elsewhere" // taken over, as the next two
	is.Telemetry.ScrapeLogins, is.Telemetry.StreamLogins = []config.ReportLogin{{Service: "a"}}, []config.ReportLogin{{Service: "a"}}
	is.Proxy.Timeouts.Head = time.Minute
	is.Kafka.Linger = time.Second
	is.Console.Hosts = []string{"a"}
	if got := needRestart(was, is); !slices.Equal(got, []string{"console", "kafka", "proxy"}) {
		t.Errorf("got %q", got)
	}
}
