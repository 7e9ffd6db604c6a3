package distribution

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// repository is a folder of Maven's layout with n small jars, and its lock.
func repository(t *testing.T, n int) (dir string, l Lock) {
	t.Helper()
	dir = t.TempDir()
	l.Version = "1.0"
	for i := range n {
		j := Jar{Path: fmt.Sprintf("org/example/thing%d/1.%d/thing%d-1.%d.jar", i, i, i, i)}
		path := filepath.Join(dir, filepath.FromSlash(j.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat(j.Path, i+1)), 0o644); err != nil {
			t.Fatal(err)
		}
		var err error
		if j.Size, j.SHA256, err = digest(path); err != nil {
			t.Fatal(err)
		}
		l.Jars = append(l.Jars, j)
	}
	return dir, l
}

func install(t *testing.T, l Lock, into, from string) (Installed, error) {
	t.Helper()
	r, err := NewRepository(from)
	if err != nil {
		t.Fatal(err)
	}
	return Install(t.Context(), l, into, r, func(Progress) {})
}

func TestTheCheckedInLocksAreWhole(t *testing.T) {
	files, err := fs.Glob(deployment.Locks, "*.lock")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range files {
		b, err := deployment.Locks.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		l, err := ParseLock(string(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name != "kafka-"+l.Version+".lock" || l.String() != string(b) {
			t.Errorf("%s is not as it would be written", name)
		}
		for _, r := range l.Roots {
			if !slices.ContainsFunc(l.Jars, func(j Jar) bool { c, _ := j.Coordinate(); return c == r }) {
				t.Errorf("%s lacks the jar of its root %s", name, r)
			}
		}
	}
}

func TestEveryMistakeOfALockIsReported(t *testing.T) {
	sum := strings.Repeat("0", 64)
	_, err := ParseLock("version ../x\nroot a:b\njar a/b/c/b-c.jar x " + sum + "\njar a/../c/b-c.jar 1 " + sum + "\njar a/b/c/b-c.jar 1 short\njar a/b/c/other.jar 1 " + sum + "\nwhat\n")
	for _, want := range []string{"line 1", "line 2", "line 3", "line 4", "line 5", "line 6", "line 7", "version is missing", "no jars"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add("version 1\nroot a:b:1\njar a/b/1/b-1-linux.jar 3 " + strings.Repeat("ab", 32))
	f.Add("jar / 1 2")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLock(text)
		if err != nil {
			return
		}
		again, err := ParseLock(l.String())
		if err != nil || again.String() != l.String() {
			t.Fatalf("%v\n%s\n%s", err, l, again)
		}
		for _, j := range l.Jars {
			if strings.Contains(j.Path, "../..") && !filepath.IsLocal(filepath.FromSlash(j.Path)) || strings.ContainsAny(j.Name(), "/\\") {
				t.Fatalf("%q leads out of the folder", j.Path)
			}
		}
	})
}

func TestAnInstallationIsFetchedOnce(t *testing.T) {
	from, l := repository(t, 30)
	var hits atomic.Int64
	files := http.FileServer(http.Dir(from))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits.Add(1); files.ServeHTTP(w, r) }))
	defer server.Close()
	into := filepath.Join(t.TempDir(), "1.0")
	if Complete(l, into) {
		t.Error("complete before anything was there")
	}
	for i, want := range []int{30, 0} {
		done, err := install(t, l, into, server.URL+"/")
		if err != nil || done.Fetched != want {
			t.Fatalf("installation %d: %+v, %v; want %d fetched", i, done, err, want)
		}
	}
	if hits.Load() != 30 || !Complete(l, into) {
		t.Errorf("%d requests for 30 jars", hits.Load())
	}
	if left, _ := filepath.Glob(filepath.Join(into, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnInstallationThatWasBrokenOffGoesOn(t *testing.T) {
	from, l := repository(t, 30)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var hits atomic.Int64
	files := http.FileServer(http.Dir(from))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hits.Add(1) == 15 {
			cancel()
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := NewRepository(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	done, err := Install(ctx, l, into, r, func(Progress) {})
	if !errors.Is(err, context.Canceled) || Complete(l, into) {
		t.Fatalf("broken off: %+v %v", done, err)
	}
	var progress Progress
	again, err := Install(t.Context(), l, into, r, func(p Progress) { progress = p })
	if err != nil || again.Fetched != 30-done.Fetched || !Complete(l, into) {
		t.Errorf("first %d, then %d of 30: %v", done.Fetched, again.Fetched, err)
	}
	if progress.Jars != 30 || progress.Bytes != l.Size() {
		t.Errorf("progress ends at %+v", progress)
	}
}

func TestAWrongJarIsRefusedByNameAndTheOthersStay(t *testing.T) {
	from, l := repository(t, 5)
	bad := filepath.Join(from, filepath.FromSlash(l.Jars[2].Path))
	good, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"another content": append([]byte("X"), good[1:]...), "shorter": good[1:], "longer": append(good, good...), "empty": nil,
	} {
		if err := os.WriteFile(bad, content, 0o644); err != nil {
			t.Fatal(err)
		}
		into := t.TempDir()
		done, err := install(t, l, into, from)
		if !errors.Is(err, errDiffers) || !strings.Contains(err.Error(), l.Jars[2].Path) || done.Fetched != 4 {
			t.Errorf("%s: %+v %v", name, done, err)
		}
		if exists(filepath.Join(into, libsFolder, l.Jars[2].Name())) {
			t.Errorf("%s: the wrong jar is installed", name)
		}
	}
}

func TestAnInstalledJarThatRottedIsFetchedAgain(t *testing.T) {
	from, l := repository(t, 5)
	into := t.TempDir()
	if _, err := install(t, l, into, "file://"+from); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(into, libsFolder, l.Jars[1].Name())
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if done, err := install(t, l, into, from); err != nil || done.Fetched != 1 {
		t.Errorf("%+v %v", done, err)
	}
}

func TestARepositoryThatLacksAJarSaysWhich(t *testing.T) {
	from, l := repository(t, 12)
	if err := os.Remove(filepath.Join(from, filepath.FromSlash(l.Jars[7].Path))); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(from)))
	defer server.Close()
	for _, where := range []string{from, server.URL} {
		if _, err := install(t, l, t.TempDir(), where); err == nil || !strings.Contains(err.Error(), l.Jars[7].Path) {
			t.Errorf("%s: %v", where, err)
		}
	}
	for _, where := range []string{"ftp://example.com/x", filepath.Join(from, "nowhere"), "http://"} {
		if _, err := NewRepository(where); err == nil {
			t.Errorf("%s is taken for a repository", where)
		}
	}
}

// mvn is a script in the place of Maven: it copies what the pom asks for.
func mvn(t *testing.T, script string) Maven {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mvn")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return Maven{Program: path}
}

const copyAll = `for a in "$@"; do case "$a" in -DoutputDirectory=*) out="${a#*=}";; esac; done
mkdir -p "$out" && cp -r "$REPOSITORY/." "$out"
echo "Downloaded from somewhere: https://example.com/a/thing3-1.3.jar (3 kB at 1 MB/s)"
`

func TestMavenBringsJarsAndTellsOfDownloads(t *testing.T) {
	from, l := repository(t, 6)
	t.Setenv("REPOSITORY", from)
	into, last := t.TempDir(), Progress{}
	done, err := Install(t.Context(), l, into, mvn(t, copyAll), func(p Progress) { last = p })
	if err != nil || done.Fetched != 6 || !Complete(l, into) {
		t.Fatalf("%+v %v", done, err)
	}
	if last.Jars != 1 { // one came over the network, the others were on this machine
		t.Errorf("progress ends at %+v", last)
	}
}

func TestMavensErrorIsPassedOn(t *testing.T) {
	_, l := repository(t, 2)
	_, err := Install(t.Context(), l, t.TempDir(), mvn(t, "echo '[INFO] x'; echo '[ERROR] Unknown host repo'; exit 1"), func(Progress) {})
	if err == nil || !strings.Contains(err.Error(), "Unknown host repo") || strings.Contains(err.Error(), "INFO") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Install(ctx, l, t.TempDir(), mvn(t, "echo '[INFO] busy'; sleep 60"), func(Progress) { time.AfterFunc(100*time.Millisecond, cancel) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
}

func TestMavenIsAskedForTheLockedJarsAlone(t *testing.T) {
	_, l := repository(t, 1)
	l.Jars = append(l.Jars, Jar{Path: "io/netty/netty/4.1/netty-4.1-linux-x86_64.jar"})
	p := exactly(l.Jars)
	if len(p.Dependencies) != 2 || p.Dependencies[0].Group != "org.example" || p.Dependencies[1].Classifier != "linux-x86_64" || p.Dependencies[1].Exclusions[0].Group != "*" {
		t.Errorf("%+v", p.Dependencies)
	}
}

func TestAKafkaHomeIsAHome(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil {
		t.Error("an empty folder is a Kafka")
	}
	for _, name := range []string{"kafka_2.13-3.9.2.jar", "zookeeper-3.8.4.jar", "zookeeper-jute-3.8.4.jar", "a.jar", "kafka_2.13-3.9.2-sources.txt"} {
		if err := os.MkdirAll(filepath.Join(dir, "libs"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "libs", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Open(dir)
	if err != nil || h.Kafka != "3.9.2" || h.Major() != 3 || h.Zookeeper != "3.8.4" || len(h.Jars) != 4 {
		t.Errorf("%+v %v", h, err)
	}
}

func TestJavaIsFoundAndItsVersionRead(t *testing.T) {
	fake := func(says string) string {
		home := t.TempDir()
		if err := os.MkdirAll(filepath.Join(home, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "bin", "java"), []byte("#!/bin/sh\necho '"+says+"' >&2\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return home
	}
	released := fake("nothing")
	if err := os.WriteFile(filepath.Join(released, "release"), []byte("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"21.0.1\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		home    string
		feature int
		err     error
	}{
		{fake(`openjdk version "17.0.15" 2025-04-15`), 17, nil},
		{released, 21, nil},
		{fake(`java version "1.8.0_401"`), 8, ErrOldJava},
		{fake("no idea"), 0, ErrNoJava},
		{t.TempDir(), 0, ErrNoJava},
	} {
		j, err := FindJava(t.Context(), func(k string) string { return map[string]string{"JAVA_HOME": row.home}[k] })
		if j.Feature() != row.feature || !errors.Is(err, row.err) {
			t.Errorf("%+v %v, want %d and %v", j, err, row.feature, row.err)
		}
	}
}
