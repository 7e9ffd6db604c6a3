package stack

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// mortal is a service in memory that crashes when told to.
type mortal struct {
	fake
	mu       sync.Mutex
	crashed  bool
	broken   bool // it does not start again
	restarts []time.Time
}

func (m *mortal) Crashed() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.crashed }
func (m *mortal) crash(broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed, m.broken = true, broken
}
func (m *mortal) Restart(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restarts = append(m.restarts, time.Now())
	m.crashed = m.broken
	if m.broken {
		return errors.New("still broken")
	}
	return nil
}
func (m *mortal) starts() []time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.restarts }

// supervise runs a supervisor of one service in a bubble.
func supervise(t *testing.T, test func(r Runtime, m *mortal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &mortal{fake: fake{name: "m", note: func(string) {}}}
		r := Runtime{Name: "test", Dir: t.TempDir(), Services: []Service{m}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Supervise(ctx, slog.New(slog.DiscardHandler)) }()
		test(r, m)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOneCrashIsMendedAtOnce(t *testing.T) {
	supervise(t, func(_ Runtime, m *mortal) {
		time.Sleep(time.Minute)
		if len(m.starts()) != 0 {
			t.Errorf("started without a crash: %v", m.starts())
		}
		at := time.Now()
		m.crash(false)
		time.Sleep(2 * time.Second)
		if n := m.starts(); len(n) != 1 || n[0].Sub(at) > 2*look {
			t.Errorf("crashed at %v, started at %v", at, n)
		}
	})
}

func TestAServiceThatKeepsCrashingIsStartedLessAndLessOften(t *testing.T) {
	supervise(t, func(_ Runtime, m *mortal) {
		m.crash(true)
		time.Sleep(10 * time.Minute)
		n := m.starts()
		if len(n) < 15 || len(n) > 60 {
			t.Errorf("%d starts in ten minutes", len(n))
		}
		if last := n[len(n)-1].Sub(n[len(n)-2]); last < 15*time.Second || last > 31*time.Second {
			t.Errorf("the last pause is %s", last)
		}
	})
}

func TestAServiceThatRanLongBeginsAnew(t *testing.T) {
	supervise(t, func(_ Runtime, m *mortal) {
		for range 3 {
			m.crash(false)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		at := time.Now()
		m.crash(false)
		time.Sleep(time.Second)
		if n := m.starts(); n[len(n)-1].Sub(at) > 2*look {
			t.Errorf("after a minute of health the pause is %s", n[len(n)-1].Sub(at))
		}
	})
}

// The start command writes the pid file after it has started the supervisor, which may be late on a busy machine.
func TestASupervisorWaitsForItsPidFile(t *testing.T) {
	own, err := birth(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		written bool
	}{{"it comes late", true}, {"it never comes", false}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				m := &mortal{fake: fake{name: "m", note: func(string) {}}}
				r := Runtime{Name: "test", Dir: dir, Services: []Service{m}, Supervisor: &Process{ID: SupervisorName, Dir: dir}}
				done := make(chan error, 1)
				go func() { done <- r.Supervise(t.Context(), slog.New(slog.DiscardHandler)) }()
				time.Sleep(recorded / 2)
				m.crash(false)
				if c.written {
					if err := r.Supervisor.write(record{PID: os.Getpid(), Born: own}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				if n := len(m.starts()); n == 1 != c.written {
					t.Errorf("%d starts", n)
				}
				if c.written {
					if err := r.Supervisor.write(record{PID: os.Getppid(), Born: "another process"}); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-done; err != nil { // a deadlock if it does not end
					t.Error(err)
				}
			})
		})
	}
}

func TestNothingIsStartedWhileTheStackStops(t *testing.T) {
	supervise(t, func(r Runtime, m *mortal) {
		if err := os.WriteFile(r.stopPath(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		m.crash(false)
		time.Sleep(10 * time.Second)
		if n := m.starts(); len(n) != 0 {
			t.Errorf("started at %v", n)
		}
	})
}

func TestAStopEndsAStartThatIsUnderWay(t *testing.T) {
	p := process(t, "sleeper")
	p.Healthy = func(context.Context, string) error { return errors.New("not yet") }
	r := Runtime{Name: "test", Dir: p.Dir, Services: []Service{p}}
	started := make(chan error, 1)
	quiet := func(string, ...any) {}
	go func() { started <- r.Start(t.Context(), quiet) }()
	for !p.Crashed() && p.Status(t.Context()).State != Running {
		time.Sleep(5 * time.Millisecond)
	}
	if err := r.Stop(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := <-started; !errors.Is(err, ErrStopped) {
		t.Errorf("the start ends with %v", err)
	}
	if st := p.Status(t.Context()); st.State != Stopped {
		t.Errorf("after the stop: %+v", st)
	}
	p.Healthy = nil
	if err := r.Start(t.Context(), quiet); err != nil {
		t.Errorf("a start after that: %v", err)
	}
}

func TestASuspendedProcessIsToldAndStopped(t *testing.T) {
	p := process(t, "sleeper")
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := p.Status(t.Context()).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); p.Status(t.Context()).Healthy && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if st := p.Status(t.Context()); st.Healthy || !strings.Contains(st.Detail, "kill -CONT") {
		t.Errorf("suspended: %+v", st)
	}
	began := time.Now()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took >= p.Grace {
		t.Errorf("SIGTERM did not reach it: %s", took)
	}
}

func TestWhatIsLeftOfAStackCounts(t *testing.T) {
	p := process(t, "sleeper")
	p.ID = ConnectName // its broker is gone
	if Alive(p.Dir) {
		t.Error("an empty folder is alive")
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found := Find(p.Dir); found || !Alive(p.Dir) {
		t.Errorf("found %v, alive %v; want neither found nor dead", found, Alive(p.Dir))
	}
	if err := p.Stop(t.Context()); err != nil || Alive(p.Dir) {
		t.Errorf("stopped and alive: %v", err)
	}
}

func TestACrashedProcessIsRestartedAndCounted(t *testing.T) {
	p := process(t, "sleeper")
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 2; want++ {
		if p.Crashed() {
			t.Fatal("crashed by itself")
		}
		if err := syscall.Kill(p.Status(t.Context()).PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for !p.Crashed() {
			time.Sleep(5 * time.Millisecond)
		}
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := p.Status(t.Context()); st.Restarts != want || st.State != Running {
			t.Errorf("restart %d: %+v", want, st)
		}
	}
	if err := p.Stop(t.Context()); err != nil || p.Crashed() {
		t.Errorf("stopped counts as crashed: %v", err)
	}
}

func TestAServiceWhosePortIsTakenDoesNotStart(t *testing.T) {
	p := process(t, "sleeper")
	l := listen(t)
	p.Binds = []string{l.Addr().String()}
	if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("start gives %v", err)
	}
	l.Close()
	if err := p.Start(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLogsOfTheOwnKindAreKeptApart(t *testing.T) {
	p := process(t, "dying")
	p.OwnLog = true
	log := filepath.Join(p.Dir, "x.log")
	if err := os.WriteFile(log, []byte("2026-01-01 ERROR of yesterday\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for !p.Crashed() {
		time.Sleep(5 * time.Millisecond)
	}
	if why := p.Why(); strings.Contains(why, "yesterday") || !strings.Contains(why, "no luck today") {
		t.Errorf("why: %s", why)
	}
	if b, err := os.ReadFile(log); err != nil || strings.Contains(string(b), "luck") {
		t.Errorf("its own log has %q, %v", b, err)
	}
}

func TestWhatAProcessPrintsIsTurnedOverWhileItRuns(t *testing.T) {
	p := process(t, "chatty")
	p.MaxLog = 1 << 10
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	r := Runtime{Dir: p.Dir, Services: []Service{p}, Supervisor: nil}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r.turnOver(log)
		old, err := os.ReadFile(filepath.Join(p.Dir, "x.log.1"))
		now, nowErr := os.ReadFile(filepath.Join(p.Dir, "x.log"))
		if err == nil && nowErr == nil && len(old) > 1<<10 && len(now) > 0 {
			if strings.Contains(string(now), "\x00") {
				t.Errorf("a hole in %q", now)
			}
			return
		}
	}
	t.Error("not turned over")
}
