package crash

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// program builds smartlb once for all tests of this package.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "smartlb")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/smartlb").CombinedOutput(); err != nil {
		t.Fatalf("build smartlb: %v\n%s", err, out)
	}
	return path
}

// victim is a broker process that is killed and started again on one address.
type victim struct {
	t       *testing.T
	program string
	dir     string
	addr    string
	cmd     *exec.Cmd
	log     *os.File
	limit   int // of the size of any file, in KiB; 0: none
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "broker.log"))
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, program: program(t), dir: filepath.Join(dir, "data"), addr: porttest.Address(t), log: log}
	t.Cleanup(func() {
		v.kill()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the end of the broker's log:\n%s", text[max(0, len(text)-6000):])
		}
	})
	return v
}

// start starts the broker and returns when it accepts connections.
func (v *victim) start() {
	v.t.Helper()
	line := []string{v.program, "run", "--roles", "broker", "--data", v.dir, "--broker-listen", v.addr, "--broker-internal", "", "--log-format", "json"}
	if v.limit > 0 {
		line = append([]string{"bash", "-c", fmt.Sprintf("ulimit -f %d; exec \"$@\"", v.limit), "bash"}, line...)
	}
	v.cmd = exec.Command(line[0], line[1:]...)
	v.cmd.Stdout, v.cmd.Stderr = v.log, v.log
	v.cmd.Env = append(os.Environ(), "SMARTLB_STATE_DIR="+v.dir+"-state")
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", v.addr)
		if err == nil {
			c.Close()
			return
		}
	}
	v.t.Fatal("the broker does not come up")
}

// kill ends the broker as the kernel's out-of-memory killer would.
func (v *victim) kill() {
	if v.cmd == nil {
		return
	}
	_ = v.cmd.Process.Signal(syscall.SIGKILL)
	_ = v.cmd.Wait()
	v.cmd = nil
}

// stop ends the broker as an operator would.
func (v *victim) stop() {
	v.t.Helper()
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	if err := v.cmd.Wait(); err != nil {
		v.t.Errorf("the broker ended with %v", err)
	}
	v.cmd = nil
}
