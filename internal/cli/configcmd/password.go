package configcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/access"
)

type hashed struct {
	Hash string `json:"passwordHash"`
}

// hashPassword is `smartlb config hash-password`.
func hashPassword(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.None, hashed]{
		Use: "hash-password", Short: "Make the bcrypt hash of a password for console.users and routes[].basicAuth.users",
		Long:    "The command reads the password from the terminal without showing it, or from the first line of standard input.\nWrite the hash to the key `passwordHash` of the user.",
		Example: "  smartlb config hash-password\n  smartlb config hash-password < password.txt",
		Run: func(_ context.Context, env *cli.Env, _ cli.None) (hashed, error) {
			password, err := readPassword(env)
			if err != nil {
				return hashed{}, err
			}
			h, err := access.Hash(password)
			if err != nil {
				return hashed{}, cli.Usagef("%w", err)
			}
			return hashed{h}, nil
		},
		Table: func(h hashed) cli.Table { return cli.Table{Above: []string{h.Hash}} },
	}.Command(env)
}

func readPassword(env *cli.Env) (string, error) {
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(env.Err, "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(env.Err)
		return string(b), err
	}
	line, err := bufio.NewReader(io.LimitReader(env.In, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
