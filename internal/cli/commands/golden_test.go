package commands

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

var update = flag.Bool("update", false, "rewrite testdata")

// compare compares a text with a file of testdata, or writes the file.
func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if the new text is right, run go test ./internal/cli/commands -update:\n%s", path, diff)
	}
}

// run runs a command line in this process, without environment variables.
func run(t *testing.T, args ...string) (text string, code int) {
	t.Helper()
	var b bytes.Buffer
	dir := t.TempDir()
	env := &cli.Env{In: strings.NewReader(""), Out: &b, Err: &b, Getenv: func(name string) string {
		if name == "SMARTLB_STATE_DIR" || name == "SMARTLB_CONFIG_DIR" {
			return dir
		}
		return ""
	}}
	code = cli.Execute(t.Context(), env, args, All()...)
	return strings.ReplaceAll(b.String(), dir, "FOLDER"), code
}

// The help of each command is a file, so that a change of a text is reviewed beside the texts around it.
func TestHelpIsWhatTestdataSays(t *testing.T) {
	texts := map[string]*strings.Builder{}
	var walk func(c *cobra.Command, file string)
	walk = func(c *cobra.Command, file string) {
		if c.Hidden {
			return
		}
		if texts[file] == nil {
			texts[file] = &strings.Builder{}
		}
		help, code := run(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if code != 0 {
			t.Errorf("%s --help ends with exit code %d", c.CommandPath(), code)
		}
		fmt.Fprintf(texts[file], "$ %s --help\n%s\n", c.CommandPath(), help)
		for _, sub := range c.Commands() {
			if c.HasParent() {
				walk(sub, file)
			} else {
				walk(sub, sub.Name())
			}
		}
	}
	walk(root(), "smartlb")
	for name, text := range texts {
		compare(t, "help/"+name+".txt", text.String())
	}
	files, _ := filepath.Glob("testdata/help/*.txt")
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".txt"); texts[name] == nil {
			t.Errorf("%s is the help of a command that does not exist; delete it", f)
		}
	}
}

// Each command of testdata/errors.txt is run; its message and exit code must be what the file says.
func TestErrorsAreWhatTestdataSays(t *testing.T) {
	file, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			got.WriteString(map[bool]string{got.Len() > 0: "\n"}[true] + line)
		}
		line, isCommand := strings.CutPrefix(line, "$ smartlb")
		if !isCommand {
			continue
		}
		text, code := run(t, words(line)...)
		if code == 0 {
			t.Errorf("smartlb%s succeeds", strings.TrimSuffix(line, "\n"))
		}
		fmt.Fprintf(&got, "\n$ smartlb%s%sexit code %d\n", line, text, code)
	}
	compare(t, "errors.txt", got.String())
}
