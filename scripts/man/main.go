// Command man writes a manual page of section 1 for every command of smartlb.
//
//	go run ./scripts/man FOLDER VERSION EPOCH
//
// EPOCH is the date of the pages in seconds since 1970, so that the same commit produces the same bytes.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/commands"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: go run ./scripts/man FOLDER VERSION EPOCH")
	}
	epoch, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("EPOCH %s: it must be a number of seconds", args[2])
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	date := time.Unix(epoch, 0).UTC()
	env := &cli.Env{In: os.Stdin, Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }}
	root := cli.New(env, commands.All()...)
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	prepare(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Date: &date, Source: "smartlb " + args[1], Manual: "smartlb manual"}, args[0])
}

// prepare adds --help to every command, as it is at run time.
func prepare(c *cobra.Command) {
	c.InitDefaultHelpFlag()
	for _, sub := range c.Commands() {
		prepare(sub)
	}
}
