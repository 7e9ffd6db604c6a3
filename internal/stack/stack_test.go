package stack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the programs that the tests start.
func TestMain(m *testing.M) {
	switch os.Getenv("STACK_TEST_PROGRAM") {
	case "sleeper":
		time.Sleep(time.Hour)
	case "deaf": // to SIGTERM
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	case "chatty":
		for range 1000 {
			os.Stderr.WriteString("a line that is printed again and again\n")
			time.Sleep(10 * time.Millisecond)
		}
	case "dying":
		os.Stderr.WriteString("no luck today\n")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func process(t *testing.T, program string) *Process {
	t.Helper()
	p := &Process{
		ID: "x", Must: true, Dir: t.TempDir(), Command: func() ([]string, error) { return []string{os.Args[0]}, nil }, Grace: 10 * time.Second,
		Environ: append(os.Environ(), "STACK_TEST_PROGRAM="+program),
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	return p
}

func TestAProcessStartsOnceAndStopsOnce(t *testing.T) {
	p := process(t, "sleeper")
	if st := p.Status(t.Context()); st.State != Stopped {
		t.Fatalf("before: %+v", st)
	}
	for range 2 {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	st := p.Status(t.Context())
	if st.State != Running || !st.Healthy || st.PID == 0 {
		t.Fatalf("started: %+v", st)
	}
	for range 2 {
		if err := p.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if syscall.Kill(st.PID, 0) == nil {
		if _, err := birth(st.PID); err == nil {
			t.Error("the process lives on")
		}
	}
	if st := p.Status(t.Context()); st.State != Stopped {
		t.Errorf("stopped: %+v", st)
	}
}

func TestAProcessThatIgnoresSIGTERMIsKilled(t *testing.T) {
	p := process(t, "deaf")
	p.Grace = 300 * time.Millisecond
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, alive := p.read(); alive {
		t.Error("the process lives on")
	}
}

func TestAStrangerWithARecycledPidIsNotSignalled(t *testing.T) {
	p := process(t, "sleeper")
	stranger := exec.Command(os.Args[0])
	stranger.Env = p.Environ
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stranger.Process.Kill(); stranger.Wait() }()
	if err := p.write(record{PID: stranger.Process.Pid, Born: "another boot/1"}); err != nil {
		t.Fatal(err)
	}
	if st := p.Status(t.Context()); st.State != Failed {
		t.Errorf("the stranger counts as %+v", st)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := birth(stranger.Process.Pid); err != nil {
		t.Errorf("the stranger is gone: %v", err)
	}
}

func TestAServiceThatDiesAtOnceIsReportedWithTheEndOfItsLog(t *testing.T) {
	p := process(t, "dying")
	p.Ready = true
	r := Runtime{Name: "test", Dir: p.Dir, Services: []Service{p}}
	err := r.Start(t.Context(), func(string, ...any) {})
	if err == nil || !strings.Contains(err.Error(), "no luck today") {
		t.Errorf("start gives %v", err)
	}
}

func TestAStackStartsInOrderAndStopsInTheOtherOne(t *testing.T) {
	var order []string
	note := func(s string) { order = append(order, s) }
	r := Runtime{Name: "test", Dir: t.TempDir(), Services: []Service{
		&fake{name: "a", must: true, note: note}, &fake{name: "b", broken: true, note: note}, &fake{name: "c", must: true, note: note},
	}}
	quiet := func(string, ...any) {}
	if err := r.Start(t.Context(), quiet); err != nil {
		t.Fatalf("a service that is not required stops the others: %v", err)
	}
	if err := r.Start(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "+a +b +c +b -c -b -a"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if _, err := r.Find("d"); !errors.Is(err, ErrUnknown) {
		t.Errorf("find d gives %v", err)
	}
}

// fake is a service in memory.
type fake struct {
	name         string
	must, broken bool
	up           bool
	note         func(string)
}

func (f *fake) Name() string   { return f.name }
func (f *fake) Required() bool { return f.must }
func (f *fake) Start(context.Context) error {
	f.note("+" + f.name)
	if f.broken {
		return errors.New("broken")
	}
	f.up = true
	return nil
}
func (f *fake) Stop(context.Context) error { f.note("-" + f.name); f.up = false; return nil }
func (f *fake) Status(context.Context) Status {
	s := Status{Name: f.name, State: Stopped}
	if f.up {
		s.State, s.Healthy = Running, true
	}
	return s
}

func TestTheStateFolderFollowsTheXDGRules(t *testing.T) {
	for _, row := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"SMARTLB_STATE_DIR": "/x", "HOME": "/h"}, "/x"},
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/smartlb/stack"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/smartlb/stack"},
		{map[string]string{"HOME": "/h"}, "/h/.local/state/smartlb/stack"},
		{map[string]string{}, ""},
	} {
		got, err := Dir(func(k string) string { return row.env[k] })
		if got != row.want || (err != nil) != (row.want == "") {
			t.Errorf("%v gives %q, %v; want %q", row.env, got, err, row.want)
		}
	}
}

func TestALargeLogIsPutAside(t *testing.T) {
	p := process(t, "sleeper")
	p.MaxLog = 10
	if err := os.WriteFile(filepath.Join(p.Dir, "x.log"), []byte("more than ten bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(p.Dir, "x.log.1")); err != nil || string(b) != "more than ten bytes" {
		t.Errorf("the old log is %q, %v", b, err)
	}
}
