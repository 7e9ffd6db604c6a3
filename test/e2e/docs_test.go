package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// documents are the pages whose command blocks are typed, in their order.
var documents = []string{"README.md", "docs/operations.md", "docs/kafka.md", "docs/console.md", "docs/http.md", "docs/messages.md"}

// notTyped are the lines that this machine cannot run, each with its reason.
var notTyped = map[string]string{
	"make run":  "builds and then serves on the default ports; the demo tests start the same program",
	"make test": "this test is part of it",
	"kcat -b localhost:9092 -t service-metrics -C": "kcat is not part of smartlb; test/foreign runs other clients",
}

// serving are the lines that run until they are stopped, each with flags that
// give it ports of its own. They must get ready and end with code 0.
var serving = map[string]bool{
	"smartlb proxy --from :8080 --to 127.0.0.1:9001,127.0.0.1:9002 --policy adaptive": true,
}

// following are the lines that show what comes until Ctrl-C.
var following = map[string]bool{"./bin/smartlb decisions -f": true}

// block is one ```sh block of a page.
type block struct {
	page  string
	line  int
	lines []string
}

// blocks reads the command blocks of a page, without comments.
func blocks(t *testing.T, page string) (out []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", page))
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for n, l := range strings.Split(string(text), "\n") {
		switch fence := strings.HasPrefix(l, "```"); {
		case fence && !inside && (l == "```sh" || l == "```bash"):
			inside = true
			out = append(out, block{page: page, line: n + 1})
		case fence:
			inside = false
		case inside:
			if command := withoutComment(l); command != "" {
				last := &out[len(out)-1]
				last.lines = append(last.lines, command)
			}
		}
	}
	return out
}

// withoutComment cuts what follows a # that begins a word.
func withoutComment(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return ""
	}
	if i := strings.Index(line, " #"); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}

// desk is where lines are typed: a folder with smartlb on the path, and the
// addresses of a stack that runs.
type desk struct {
	t     *testing.T
	dir   string
	env   []string
	ports *strings.Replacer
}

func newDesk(t *testing.T, web, admin, broker string) *desk {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs(binary)
	if err == nil {
		err = os.Symlink(program, filepath.Join(bin, "smartlb"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &desk{
		t: t, dir: dir, ports: strings.NewReplacer("localhost:8080", web, "localhost:9092", broker),
		env: append(cleanEnv(t), "PATH="+bin+":"+os.Getenv("PATH"), "KAFKA_BROKER="+broker, "SMARTLB_ADMIN_ADDRESS="+admin),
	}
}

// shell prepares a line for a shell.
func (d *desk) shell(ctx context.Context, line string) (*exec.Cmd, *strings.Builder) {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", "exec 2>&1; "+d.ports.Replace(line))
	cmd.Dir, cmd.Env = d.dir, d.env
	var out strings.Builder
	cmd.Stdout = &out
	return cmd, &out
}

// typed runs a line, which must end with code 0.
func (d *desk) typed(at, line string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), maxWait)
	defer cancel()
	cmd, out := d.shell(ctx, line)
	if err := cmd.Run(); err != nil {
		d.t.Errorf("%s: %s: %v\n%s", at, line, err, out)
	}
}

// followed runs a line that does not end, and stops it as Ctrl-C does.
func (d *desk) followed(at, line string) {
	d.t.Helper()
	cmd, out := d.shell(d.t.Context(), "exec "+line)
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		d.t.Errorf("%s: %s ended by itself: %v\n%s", at, line, err, out)
		return
	case <-time.After(2 * time.Second):
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	if err := <-ended; err != nil && cmd.ProcessState.ExitCode() != 130 {
		d.t.Errorf("%s: %s, stopped by Ctrl-C: %v\n%s", at, line, err, out)
	}
}

// served runs a line that serves, with free ports instead of the usual ones.
func (d *desk) served(line string) {
	d.t.Helper()
	args := strings.Fields(strings.Replace(line, ":8080", "127.0.0.1:0", 1))
	p := start(d.t, true, append(args[1:], "--admin", "127.0.0.1:0")...)
	p.stop(syscall.SIGTERM)
	if code := p.Cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("%s ended with %d", line, code)
	}
}

func (d *desk) block(b block) {
	for _, line := range b.lines {
		at := fmt.Sprintf("%s:%d", b.page, b.line)
		switch {
		case notTyped[line] != "" || strings.HasPrefix(line, "smartlb up "):
		case serving[line]:
			d.served(line)
		case following[line]:
			d.followed(at, line)
		default:
			d.typed(at, line)
		}
	}
}

// ready waits for a process that serves at an admin address.
func ready(t *testing.T, env []string, admin string) {
	t.Helper()
	eventually(t, "the node is ready", func() bool {
		cmd := exec.Command("curl", "-sf", "http://"+admin+"/readyz")
		cmd.Env = env
		return cmd.Run() == nil
	})
}

// upWithFile runs the block of a file's life: the file is made and validated,
// `up` serves it, and the other lines are typed beside it.
func upWithFile(t *testing.T, b block) {
	base := porttest.Block(t, 0, 1, 2, 3, 4)
	at := func(o int) string { return fmt.Sprintf("127.0.0.1:%d", base+o) }
	d := newDesk(t, at(0), at(1), at(3))
	for i, line := range b.lines {
		if !strings.HasPrefix(line, "smartlb up ") {
			d.typed(fmt.Sprintf("%s:%d", b.page, b.line), line)
			continue
		}
		file := filepath.Join(d.dir, "smartlb.yaml")
		startIn(t, d.env, false, "up", "--config", file, "--data", t.TempDir(), "--listen", at(0), "--admin", at(1), "--console", at(2), "--broker-listen", at(3), "--broker-internal", "")
		ready(t, d.env, at(1))
		d.block(block{b.page, b.line, b.lines[i+1:]})
		return
	}
}

// TestDocumentedCommandsCanBeTyped types each command block of the pages into a
// shell beside a stack that runs. README's own sequence was refused once.
func TestDocumentedCommandsCanBeTyped(t *testing.T) {
	t.Parallel()
	_, web, admin, broker := demo(t)
	seen := map[string]bool{}
	for _, page := range documents {
		for _, b := range blocks(t, page) {
			serves := false
			for _, line := range b.lines {
				seen[line] = true
				serves = serves || strings.HasPrefix(line, "smartlb up ")
			}
			t.Run(fmt.Sprintf("%s:%d", page, b.line), func(t *testing.T) {
				if serves {
					upWithFile(t, b)
					return
				}
				newDesk(t, web, admin, broker).block(b)
			})
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d lines were found", len(seen))
	}
	for line := range notTyped {
		if !seen[line] {
			t.Errorf("%q is excused and in no page", line)
		}
	}
}
