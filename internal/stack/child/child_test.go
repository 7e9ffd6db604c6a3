package child

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leaktest"
)

// TestMain is also the program that the tests run as children: the first
// argument says what it does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "child:") {
		play(strings.TrimPrefix(os.Args[1], "child:"), os.Args[2:])
		return
	}
	leaktest.Main(m)
}

func play(role string, args []string) {
	fmt.Println("started", os.Getpid())
	switch role {
	case "crash":
		os.Exit(3)
	case "polite": // ends when it is told to
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("listening")
		<-c
		fmt.Println("told to end")
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("deaf", os.Getpid())
		time.Sleep(time.Hour) // an empty select is a deadlock to a runtime without cgo
	case "guarded": // ends with its parent
		ctx, cancel := WithParent(context.Background())
		defer cancel()
		<-ctx.Done()
	case "parent": // has a guarded child and a process id to tell
		c := New(Spec{Name: "grandchild", Program: os.Args[0], Args: []string{"child:guarded"}, Log: args[0]}, slog.New(slog.DiscardHandler))
		_ = c.Run(context.Background())
	}
}

func start(t *testing.T, role string, stop time.Duration) (c *Child, log string, end func() time.Duration) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "logs", "child.log")
	c = New(Spec{Name: role, Program: os.Args[0], Args: []string{"child:" + role}, Log: log, Stop: stop}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	ended := false
	end = func() time.Duration {
		if ended {
			return 0
		}
		ended = true
		began := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	t.Cleanup(func() { end() })
	return c, log, end
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// pids reads who started, in order, from a log.
func pids(log string) (out []int) {
	f, err := os.Open(log)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if word, pid, ok := strings.Cut(lines.Text(), " "); ok && word == "started" {
			if n, err := strconv.Atoi(pid); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

func said(log, text string) bool {
	b, _ := os.ReadFile(log)
	return strings.Contains(string(b), text)
}

func TestAChildThatEndsIsStartedAgain(t *testing.T) {
	_, log, end := start(t, "crash", 0)
	eventually(t, "no third start", func() bool { return len(pids(log)) >= 3 })
	end()
	n := len(pids(log))
	time.Sleep(300 * time.Millisecond) // longer than the first pauses
	if len(pids(log)) != n {
		t.Error("started again after the end")
	}
}

func TestAKilledChildIsStartedAgain(t *testing.T) {
	c, log, end := start(t, "polite", 0)
	eventually(t, "not started", func() bool { return len(pids(log)) == 1 })
	first := pids(log)[0]
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no second start", func() bool { return len(pids(log)) == 2 && c.Pid() == pids(log)[1] })
	end()
	if running(first) || running(pids(log)[1]) || c.Pid() != 0 {
		t.Error("something is left")
	}
}

func TestAPoliteChildIsAskedAStubbornOneKilled(t *testing.T) {
	_, log, end := start(t, "polite", time.Hour)
	eventually(t, "it does not listen for the signal", func() bool { return said(log, "listening") })
	end()
	if !said(log, "told to end") {
		t.Error("the polite child was not asked")
	}
	_, log, end = start(t, "stubborn", 200*time.Millisecond)
	eventually(t, "not deaf", func() bool { return said(log, "deaf") })
	if took := end(); took < 200*time.Millisecond {
		t.Errorf("killed after %s, before its time", took)
	}
	if running(pids(log)[0]) {
		t.Error("the stubborn child lives")
	}
}

func TestAChildIsGoneWithItsParentHoweverThatEnded(t *testing.T) {
	log := filepath.Join(t.TempDir(), "grandchild.log")
	parent := exec.Command(os.Args[0], "child:parent", log)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no grandchild", func() bool { return len(pids(log)) == 1 })
	grandchild := pids(log)[0]
	if !running(grandchild) {
		t.Fatal("the grandchild ended by itself")
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	eventually(t, "the grandchild lives on", func() bool { return !running(grandchild) || zombie(grandchild) })
}

// zombie says that a process ended and nobody has asked for its status.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func TestAProgramThatIsNotThereIsTriedAgainAndEnds(t *testing.T) {
	c := New(Spec{Name: "nothing", Program: "/does/not/exist"}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	eventually(t, "it was not tried again", func() bool { return c.restarts.Load() > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
