package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A terminal that is held, or a pipe whose reader hangs: the keeper waited for
// its next line of the log to be read, and so did the stop.
func TestANodeLooksAfterItsInstancesThoughNobodyReadsItsLog(t *testing.T) {
	t.Parallel()
	ins := instances(t, 4)
	args := []string{"proxy", "--from", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--health-path", "/health", "--health-interval", "200ms", "--drain", "1s", "--log-format", "json"}
	for _, in := range ins {
		args = append(args, "--to", in.addr)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir, cmd.Stderr = cleanEnv(t), t.TempDir(), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); _ = w.Close(); close(ended) }()
	var filling sync.WaitGroup
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = r.Close() // ends who fills the pipe
		<-ended
		filling.Wait()
	})
	admin := ""
	lines := bufio.NewScanner(r)
	for said := ""; said != "ready"; {
		if !lines.Scan() {
			t.Fatal("the node ended")
		}
		var entry struct{ Msg, Name, Address string }
		_ = json.Unmarshal(lines.Bytes(), &entry)
		if said = entry.Msg; said == "listening" && entry.Name == "admin" {
			admin = entry.Address
		}
	}
	var filled atomic.Int64 // nobody reads any more, and there is no room
	filling.Go(func() {
		for b := []byte("x"); ; filled.Add(1) {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	last := int64(-1)
	eventually(t, "the pipe is full", func() bool {
		was := last
		last = filled.Load()
		return last > 0 && last == was
	})
	for _, in := range ins[:2] { // one is not enough: its line is the first that waits
		in.close()
		eventually(t, in.addr+" is out", func() bool { return state(look(t, admin), in.addr) == "unhealthy" })
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(maxWait):
		t.Error("it does not stop")
	}
}
