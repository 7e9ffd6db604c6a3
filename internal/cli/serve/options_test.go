package serve

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
)

// Both keys were read and then forgotten.
func TestDrainAndDataOfTheFileCountUnlessAFlagDoes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte("proxy: {drain: 7s}\ndata: {dir: /from/file}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why   string
		args  []string
		env   map[string]string
		drain time.Duration
		data  string
	}{
		{why: "nothing is said", drain: 3 * time.Second},
		{why: "the file", args: []string{"--config", file}, drain: 7 * time.Second, data: "/from/file"},
		{why: "the environment before the file", args: []string{"--config", file}, env: map[string]string{"SMARTLB_PROXY_DRAIN": "9s", "SMARTLB_DATA_DIR": "/from/env"}, drain: 9 * time.Second, data: "/from/env"},
		{why: "a flag before both", args: []string{"--config", file, "--drain", "3s", "--data", "here"}, env: map[string]string{"SMARTLB_PROXY_DRAIN": "9s"}, drain: 3 * time.Second, data: "here"},
	} {
		var n nodeFlags
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		n.declare(f, 3*time.Second)
		if err := f.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if _, _, err := n.load(&cli.Env{Getenv: func(k string) string { return c.env[k] }}); err != nil {
			t.Errorf("%s: %v", c.why, err)
		}
		if n.drain != c.drain || n.data != c.data {
			t.Errorf("%s: drain %s, data %q; want %s, %q", c.why, n.drain, n.data, c.drain, c.data)
		}
	}
}
