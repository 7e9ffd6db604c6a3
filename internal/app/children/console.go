package children

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/stack"
)

// consoleStart limits the time until the console listens, on a busy machine.
const consoleStart = time.Minute

// consoleEnv limits the memory of the console: a search may use memory, but not all memory of the machine.
func consoleEnv() []string { return []string{"GOMEMLIMIT=256MiB"} }

// startConsole runs the console in a separate process and returns its URL. So a search or a failure in the console does
// not affect the proxy's process or its traffic.
func (p *processes) startConsole(ctx, childCtx context.Context) (string, error) {
	address := p.o.Node.Document.Console.Address
	if !p.o.OwnConsole {
		return p.o.Console, nil
	}
	if !strings.HasSuffix(address, ":0") {
		if err := free(address, "--console"); err != nil {
			return "", err
		}
	}
	data := filepath.Join(p.o.Node.DataDir, "console")
	ready := filepath.Join(data, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	env := consoleEnv()
	if id := p.o.Node.Document.Identity.ID; id != "" { // node.id in the file belongs to this process
		env = append(env, "SMARTLB_NODE_ID="+id+"-console")
	}
	args := slices.Concat([]string{
		"run", "--roles", "console", "--with-parent", "--data", data, "--ready-file", ready,
		"--kafka", strings.Join(p.o.Node.Document.Kafka.Brokers, ","), "--console", address, "--admin", "127.0.0.1:0",
		fmt.Sprintf("--read-only=%v", p.o.Node.Document.Console.ReadOnly), fmt.Sprintf("--insecure-listen=%v", p.o.Node.Insecure),
	}, p.o.ConsoleArgs)
	c := p.spawnWith(childCtx, "console", env, args...)
	ctx, cancel := context.WithTimeout(ctx, consoleStart)
	defer cancel()
	for {
		if r, err := stack.ReadReady(ready); err == nil && r.PID == c.Pid() {
			if p.o.Node.Document.Console.TLS.Cert != "" {
				return "https://" + r.Address, nil
			}
			return "http://" + r.Address, nil
		}
		if c.Restarts() > 0 {
			return "", fmt.Errorf("the console did not start%s", tailOf(filepath.Join(p.logs, "console.log")))
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the console did not listen within %s%s", consoleStart, tailOf(filepath.Join(p.logs, "console.log")))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
