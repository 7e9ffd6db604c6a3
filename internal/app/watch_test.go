package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeIsSeenHoweverTheFileIsWritten(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, path string){
		"in place": func(t *testing.T, path string) { put(t, path, "new") },
		"in place, with the old time": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			do(t, err)
			put(t, path, "new")
			do(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
		},
		"by a rename": func(t *testing.T, path string) {
			put(t, path+"~", "new")
			do(t, os.Rename(path+"~", path))
		},
		"by a rename of an older file": func(t *testing.T, path string) {
			put(t, path+"~", "new")
			old := time.Now().Add(-time.Hour)
			do(t, os.Chtimes(path+"~", old, old), os.Rename(path+"~", path))
		},
		"as a ConfigMap of Kubernetes": func(t *testing.T, path string) { // path is ..data/smartlb.yaml, and ..data a link to a folder
			dir := filepath.Dir(filepath.Dir(path))
			do(t, os.Mkdir(filepath.Join(dir, "second"), 0o700))
			put(t, filepath.Join(dir, "second", "smartlb.yaml"), "new")
			do(t, os.Symlink("second", filepath.Join(dir, "..tmp")), os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
		},
		"as a link to another file": func(t *testing.T, path string) {
			put(t, path+".2", "new")
			do(t, os.Remove(path), os.Symlink(path+".2", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			do(t, os.Mkdir(filepath.Join(dir, "first"), 0o700), os.Symlink("first", filepath.Join(dir, "..data")))
			path := filepath.Join(dir, "..data", "smartlb.yaml")
			put(t, path, "old")
			w := newFileWatch(path, SumOf([]byte("old")))
			for range 3 {
				if w.changed() {
					t.Fatal("changed before a change")
				}
			}
			write(t, path)
			if w.changed() {
				t.Error("taken at the first look: the writer may not have finished")
			}
			if !w.changed() || w.seen != SumOf([]byte("new")) {
				t.Error("not seen at the second look")
			}
			w.taken = w.seen
			if w.changed() {
				t.Error("seen twice")
			}
		})
	}
}

func TestOnlyACompleteFileIsAChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "smartlb.yaml")
	put(t, path, "old")
	w := newFileWatch(path, SumOf([]byte("old")))
	for _, part := range []string{"", "n", "ne", "new"} { // each write is between two looks
		put(t, path, part)
		if w.changed() {
			t.Errorf("%q is taken while the file is written", part)
		}
	}
	if !w.changed() {
		t.Error("the complete file is no change")
	}
	put(t, path, "old")
	for range 2 {
		if w.changed() {
			t.Error("a file that is as it was taken is a change")
		}
	}
}

func TestAFolderMayBeMissingForAWhile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etc")
	path := filepath.Join(dir, "smartlb.yaml")
	do(t, os.Mkdir(dir, 0o700))
	put(t, path, "old")
	w := newFileWatch(path, SumOf([]byte("old")))
	do(t, os.RemoveAll(dir))
	if w.changed() || !w.changed() || w.seen != (Sum{}) {
		t.Error("a missing file is reported at the second look")
	}
	w.taken = Sum{}
	if w.changed() {
		t.Error("a missing file is reported twice")
	}
	do(t, os.Mkdir(dir, 0o700))
	put(t, path, "new")
	if w.changed() || !w.changed() {
		t.Error("the file in the new folder is a change at the second look")
	}
	do(t, os.Remove(path), os.Mkdir(path, 0o700))
	w.taken = w.seen
	for range 2 {
		if w.changed() {
			t.Error("a folder in place of the file is a change")
		}
	}
}

// followed runs followSignals on a file and returns its log lines. between is called with a function that waits for n
// looks.
func followed(t *testing.T, path string, beforeReload func(n int), between func(a *App, looks func(n int))) string {
	t.Helper()
	var said bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		reloads := 0
		content, err := os.ReadFile(path)
		do(t, err)
		a := &App{o: Options{Log: slog.New(slog.NewTextHandler(&said, nil)), Signals: Signals{
			Watch: path, Taken: SumOf(content),
			Reload: func() (File, error) {
				reloads++
				beforeReload(reloads)
				content, err := config.ReadFile(path)
				if err != nil {
					return File{}, err
				}
				d, err := config.Parse(content)
				return File{Document: d, Sum: SumOf(content)}, err
			},
		}}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.followSignals(ctx) }()
		between(a, func(n int) {
			time.Sleep(time.Duration(n) * watchPace)
			synctest.Wait()
		})
		cancel()
		do(t, <-ended)
	})
	return said.String()
}

func TestEachChangeOfAWatchedFileIsOneLineOfTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "smartlb.yaml")
	put(t, path, "data: {dir: a}\n")
	said := followed(t, path, func(int) {}, func(a *App, looks func(int)) {
		looks(10)
		put(t, path, "data: {dir: b}\n")
		looks(10)
		put(t, path, "data:\n  dirr: b\n")
		looks(10)
		if reason := a.refused.Load(); reason == nil {
			t.Error("the status does not say that the file is refused")
		}
		do(t, os.Remove(path))
		looks(10)
		put(t, path, "data: {dir: b}\n")
		looks(10)
		if reason := a.refused.Load(); reason != nil {
			t.Errorf("the status says that the file is refused: %s", *reason)
		}
	})
	want := []string{"configuration file read again", "configuration file refused, nothing was changed", "configuration file refused, nothing was changed", "configuration file read again"}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) != len(want) {
		t.Fatalf("want %d lines:\n%s", len(want), said)
	}
	for i, w := range want {
		if !strings.Contains(lines[i], w) {
			t.Errorf("line %d: want %q in %s", i, w, lines[i])
		}
	}
	if !strings.Contains(lines[1], "2: data.dirr: unknown key") || !strings.Contains(lines[2], "no such file") {
		t.Errorf("the log does not give the reason:\n%s", said)
	}
}

// The content that is applied is the content that stayed the same for two looks.
func TestAWriteAfterTheLookIsNotAppliedUnseen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "smartlb.yaml")
	put(t, path, "data: {dir: a}\n")
	said := followed(t, path, func(n int) {
		if n == 1 {
			put(t, path, "half: ")
		}
	}, func(_ *App, looks func(int)) {
		put(t, path, "data: {dir: b}\n")
		looks(3)
		put(t, path, "data: {dir: c}\n")
		looks(10)
	})
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "read again") {
		t.Errorf("want one change:\n%s", said)
	}
}
