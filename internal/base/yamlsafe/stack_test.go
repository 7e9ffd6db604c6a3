//go:build !race

package yamlsafe

import (
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

// Hostile texts are refused before the library's parser, the largest allowed texts are read. A stack overflow ends the
// process, so a child proves that there is none: its stack may grow to a sixteenth of what Go allows by default.
func TestTheStackStaysSmall(t *testing.T) {
	const child = "YAMLSAFE_TEST_CHILD"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTheStackStaysSmall$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "all texts were read") {
			t.Errorf("%v\n%.2000s", err, out)
		}
		return
	}
	debug.SetMaxStack(64 << 20)
	for name, text := range hostile() {
		if file, err := Parse([]byte(text), wide); err == nil {
			t.Errorf("%s: taken: %d documents", name, len(file.Docs))
		} else if e, ok := err.(*Error); !ok || len(e.Error()) > 200 {
			t.Errorf("%s: %T of %d bytes", name, err, len(err.Error()))
		}
	}
	for name, text := range heavy() {
		if _, err := Parse([]byte(text), wide); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Log("all texts were read")
}
