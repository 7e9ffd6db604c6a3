package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leaktest"
)

// role makes the test binary play a process in a test.
const role = "SMARTLB_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		leaktest.Main(m)
	case "exits":
		fmt.Fprintln(os.Stderr, "smartlb: the file has a mistake")
		os.Exit(7)
	case "hangs":
		time.Sleep(time.Hour)
	case "stays": // it does not end by SIGTERM
		ignoreTerm()
		time.Sleep(time.Hour)
	case "serves":
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// serve takes the place of the test and answers one connection on each listener.
func serve() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	sockets, before, err := Inherit()
	if err != nil {
		return err
	}
	var listeners []net.Listener
	for _, l := range []struct{ name, address string }{{"web", "127.0.0.1:0"}, {"unix", os.Getenv("SMARTLB_TEST_UNIX")}} {
		ln, err := sockets.Listen("proxy", l.name, l.address, func() (net.Listener, error) {
			return nil, fmt.Errorf("%s was not inherited", l.name)
		})
		if err != nil {
			return err
		}
		listeners = append(listeners, ln)
	}
	if err := before.Ready(ctx); err != nil {
		return err
	}
	if err := before.Own(ctx); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "unused:", sockets.Own())
	for _, l := range listeners {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintf(c, "hello from %d of %s\n", os.Getpid(), before.Node())
		_, _ = c.Close(), l.Close()
	}
	return nil
}

const limit = 2 * time.Minute // ends a broken test

// program starts the test binary in a role.
func program(t *testing.T, as string, s *Sockets, stderr *os.File) (*Successor, error) {
	t.Helper()
	t.Setenv(role, as)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Start(Program{Path: self, Sockets: s, Stderr: stderr, Node: "n1"})
}

// output makes a file for the standard error of programs, and a function that reads it.
func output(t *testing.T) (f *os.File, read func() string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, func() string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
}

func listen(t *testing.T, s *Sockets, name, address string) net.Listener {
	t.Helper()
	l, err := s.Listen("proxy", name, address, func() (net.Listener, error) {
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			return net.Listen("unix", path)
		}
		return net.Listen("tcp", address)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestANewProcessTakesTheSockets(t *testing.T) {
	file, stderr := output(t)
	path, gone := filepath.Join(t.TempDir(), "web.sock"), filepath.Join(t.TempDir(), "gone.sock")
	t.Setenv("SMARTLB_TEST_UNIX", "unix:"+path)
	s := new(Sockets)
	web, unix := listen(t, s, "web", "127.0.0.1:0"), listen(t, s, "unix", "unix:"+path)
	removed := listen(t, s, "gone", "unix:"+gone)
	next, err := program(t, "serves", s, file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := next.Await(ctx); err != nil {
		t.Fatalf("%v\n%s", err, stderr())
	}
	s.Leave()
	_, _, _ = web.Close(), unix.Close(), removed.Close()
	for _, socket := range []string{path, gone} {
		if _, err := os.Stat(socket); err != nil {
			t.Errorf("the old process removed a file that the new process uses: %v", err)
		}
	}
	pid := next.PID()
	if err := next.Own(); err != nil {
		t.Error(err)
	}
	for _, at := range []net.Addr{web.Addr(), unix.Addr()} {
		c, err := net.Dial(at.Network(), at.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(limit))
		got, err := io.ReadAll(c)
		_ = c.Close()
		if want := fmt.Sprintf("hello from %d of n1\n", pid); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", at, got, err, want)
		}
	}
	for _, socket := range []string{path, gone} { // removed by the new process, which closed one and did not use the other
		for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(socket); errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the file of %s stays", socket)
			}
		}
	}
	if !strings.Contains(stderr(), "unused: [unix:"+gone+"]") {
		t.Errorf("what the new process writes does not arrive here: %q", stderr())
	}
}

func TestAProcessThatDoesNotBecomeReadyIsEnded(t *testing.T) {
	file, stderr := output(t)
	for as, want := range map[string]string{
		"exits": "the new process ended before it was ready: exit status 7",
		"hangs": "the new process was not ready after",
		"stays": "the new process was not ready after",
	} {
		s := new(Sockets)
		l := listen(t, s, "web", "127.0.0.1:0")
		next, err := program(t, as, s, file)
		if err != nil {
			t.Fatal(err)
		}
		wait := limit
		if as != "exits" {
			wait = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		err = next.Await(ctx)
		cancel()
		var failed *FailedError
		if !errors.As(err, &failed) || !strings.HasPrefix(failed.Reason, want) {
			t.Errorf("%s: %v, want %q", as, err, want)
			continue
		}
		if as == "exits" && (failed.Output != "smartlb: the file has a mistake" || !strings.Contains(stderr(), failed.Output)) {
			t.Errorf("its last lines are %q, and standard error has %q", failed.Output, stderr())
		}
		if next.cmd.ProcessState == nil {
			t.Errorf("%s: the process has not ended", as)
		}
		accepted := make(chan error, 1)
		go func() { // the listener works as before
			c, err := l.Accept()
			if err == nil {
				_ = c.Close()
			}
			accepted <- err
		}()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := <-accepted; err != nil {
			t.Errorf("%s: %v", as, err)
		}
		_ = c.Close()
	}
}

func TestAProgramThatCannotBeStartedIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "smartlb")
	if err := os.WriteFile(path, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{path, path + "-missing"} {
		if _, err := Start(Program{Path: at, Sockets: new(Sockets), Stderr: os.Stderr}); err == nil || !strings.Contains(err.Error(), at) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// inheritedFrom gives a Sockets that inherits what another one has open.
func inheritedFrom(t *testing.T, s *Sockets, systemd bool) *Sockets {
	t.Helper()
	all, files, err := s.files()
	if err != nil {
		t.Fatal(err)
	}
	next := new(Sockets)
	for i, one := range all {
		if one.Systemd = systemd; systemd {
			one.Kind, one.Address = "", ""
		}
		if err := next.inherit(one, files[i]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = files[i].Close() })
	}
	return next
}

func TestSocketsMatchByNameAndAddress(t *testing.T) {
	dir := t.TempDir()
	s := new(Sockets)
	free, other := listen(t, s, "free", "127.0.0.1:0"), listen(t, s, "other", "127.0.0.1:0")
	unix := listen(t, s, "unix", "unix:"+filepath.Join(dir, "a"))
	next := inheritedFrom(t, s, false)
	fresh := errors.New("opened")
	for _, c := range []struct {
		kind, name, address string
		want                net.Listener // nil: none
	}{
		{"proxy", "third", "127.0.0.1:0", nil}, // a free port belongs to a name
		{"web", "free", "127.0.0.1:0", nil},
		{"proxy", "free", "127.0.0.1:1", nil},
		{"proxy", "other", "127.0.0.1:0", other},
		{"proxy", "free", "127.0.0.1:0", free},
		{"proxy", "free", "127.0.0.1:0", nil}, // it is taken
		{"proxy", "renamed", "unix:" + filepath.Join(dir, "a"), unix},
	} {
		l, err := next.Listen(c.kind, c.name, c.address, func() (net.Listener, error) { return nil, fresh })
		switch {
		case c.want == nil && err != fresh:
			t.Errorf("%+v: %v, %v; want a new socket", c, l, err)
		case c.want != nil && (err != nil || l.Addr().String() != c.want.Addr().String()):
			t.Errorf("%+v: %v, %v; want %s", c, l, err, c.want.Addr())
		}
		if l != nil {
			defer l.Close()
		}
	}
}

func TestSocketsOfSystemdMatchByNameOrAddressAndStay(t *testing.T) {
	s := new(Sockets)
	a, b := listen(t, s, "web", "127.0.0.1:0"), listen(t, s, "smartlb.socket", "127.0.0.1:0")
	unix := listen(t, s, "local", "unix:"+filepath.Join(t.TempDir(), "s"))
	next := inheritedFrom(t, s, true)
	for _, c := range []struct {
		name, address string
		want          net.Listener
	}{
		{"web", ":80", a},
		{"secure", b.Addr().String(), b},
		{"local", "unix:/run/x", unix},
	} {
		for range 2 { // a listener that was closed may be opened again
			l, err := next.Listen("proxy", c.name, c.address, func() (net.Listener, error) { return nil, errors.New("opened") })
			if err != nil || l.Addr().String() != c.want.Addr().String() {
				t.Fatalf("%+v: %v, %v", c, l, err)
			}
			_ = next.Own()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := os.Stat(unix.Addr().String()); err != nil {
		t.Errorf("the file of a socket of systemd was removed: %v", err)
	}
	if _, err := next.Listen("proxy", "more", "127.0.0.1:1", func() (net.Listener, error) { return nil, errors.New("opened") }); err == nil {
		t.Error("a socket was used for a listener that it does not match")
	}
	if got := next.Unused(); len(got) != 0 {
		t.Errorf("unused: %q", got)
	}
	if got := inheritedFrom(t, s, true).Unused(); !slices.Equal(got, []string{"web", "smartlb.socket", "local"}) {
		t.Errorf("unused: %q", got)
	}
}

func TestAddressesOfSocketsAndListeners(t *testing.T) {
	tcp := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct {
		bound   net.Addr
		address string
		want    bool
	}{
		{tcp("[::]:80"), ":80", true},
		{tcp("0.0.0.0:80"), ":80", true},
		{tcp("0.0.0.0:80"), "0.0.0.0:80", true},
		{tcp("[::]:80"), "[::]:80", true},
		{tcp("127.0.0.1:80"), ":80", false},
		{tcp("127.0.0.1:80"), "127.0.0.1:81", false},
		{tcp("127.0.0.1:80"), "localhost:80", false},
		{tcp("[::ffff:127.0.0.1]:80"), "127.0.0.1:80", true},
		{&net.UnixAddr{Name: "/run/a"}, "unix:/run/a", true},
		{&net.UnixAddr{Name: "/run/a"}, "unix:/run/b", false},
		{tcp("127.0.0.1:80"), "unix:/run/b", false},
		{&net.UnixAddr{Name: "/run/a"}, ":80", false},
	} {
		if got := sameAddress(c.bound, c.address); got != c.want {
			t.Errorf("%s is %s: %v, want %v", c.bound, c.address, got, c.want)
		}
	}
}

func TestOnlyTheEndOfATextIsKept(t *testing.T) {
	var l lastLines
	for i := range 10_000 {
		fmt.Fprintf(&l, "line %d\n", i)
	}
	if got, want := l.String(), "line 9995\nline 9996\nline 9997\nline 9998\nline 9999"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(l.text) > 2*mostBytes {
		t.Errorf("%d bytes are kept", len(l.text))
	}
}

func ignoreTerm() { signal.Ignore(syscall.SIGTERM) }
