package configcmd_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/configcmd"
)

// It printed nothing: its table had rows and no names of columns.
func TestHashPasswordPrintsTheHash(t *testing.T) {
	for _, row := range []struct{ in, args, password string }{
		{"correct horse\n", "", "correct horse"},
		{"correct horse\r\n", "", "correct horse"},
		{"no line end at the end", "-o wide", "no line end at the end"},
	} {
		var out, words bytes.Buffer
		env := &cli.Env{In: strings.NewReader(row.in), Out: &out, Err: &words, Getenv: func(string) string { return "" }}
		code := cli.Execute(t.Context(), env, strings.Fields("config hash-password "+row.args), configcmd.Commands)
		hash := strings.TrimSuffix(out.String(), "\n")
		if code != cli.ExitOK || bcrypt.CompareHashAndPassword([]byte(hash), []byte(row.password)) != nil {
			t.Errorf("%q: code %d, printed %q, %s", row.in, code, out.String(), words.String())
		}
	}
}
