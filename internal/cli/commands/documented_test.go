package commands

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// inline is a command within a sentence or a table of a page. Blocks of commands
// are typed by test/e2e.
var inline = regexp.MustCompile("`(?:\\./bin/)?smartlb ([^`]*)`")

// word is one word of a shell line, with quotes around it or a part of it.
var word = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)

// words splits a command line as a shell does, as far as the pages need: up to
// what belongs to another command or is no part of it.
func words(line string) (out []string) {
	for _, w := range word.FindAllString(line, -1) {
		if strings.HasPrefix(w, "#") || strings.HasPrefix(w, ">") || strings.HasPrefix(w, "<") || w == "|" || w == "||" || w == "&&" || w == "&" {
			break
		}
		w, _, _ = strings.Cut(w, "|") // one of several: bash|zsh|fish
		out = append(out, strings.NewReplacer("'", "", `"`, "").Replace(w))
	}
	return out
}

func root() *cobra.Command {
	c := cli.New(&cli.Env{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }}, All()...)
	c.InitDefaultCompletionCmd()
	return c
}

// understood says whether a line names a command, its flags with values of
// their types, and words that it takes. Nothing is run.
func understood(line string, whole bool) error {
	c, rest, err := root().Find(words(line))
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil && !c.DisableFlagParsing {
		return err
	}
	if c.HasSubCommands() || whole {
		if err := c.ValidateArgs(c.Flags().Args()); err != nil {
			return err
		}
	}
	if !c.Runnable() {
		return fmt.Errorf("%s cannot be run", c.CommandPath())
	}
	return nil
}

// TestCommandsInSentencesAndTablesExist: a page may name a command without what
// it needs ("smartlb drain"), but no command and no flag that does not exist.
func TestCommandsInSentencesAndTablesExist(t *testing.T) {
	pages := []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"}
	more, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	design, err := filepath.Glob("../../../docs/design/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range pages {
		pages[i] = filepath.Join("../../..", pages[i])
	}
	found := 0
	for _, page := range append(append(pages, more...), design...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inline.FindAllStringSubmatch(string(text), -1) {
			found++
			if err := understood(m[1], false); err != nil {
				t.Errorf("%s: smartlb %s: %v", filepath.Base(page), m[1], err)
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d commands were found", found)
	}
}

// TestExamplesOfHelpAreUnderstood: what --help shows can be typed as it stands.
func TestExamplesOfHelpAreUnderstood(t *testing.T) {
	found := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			_, line, ours := strings.Cut(line, "smartlb ")
			if !ours {
				continue
			}
			found++
			if err := understood(strings.TrimSpace(line), true); err != nil {
				t.Errorf("%s --help: smartlb %s: %v", c.CommandPath(), strings.TrimSpace(line), err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
	if found < 60 {
		t.Errorf("only %d examples were found", found)
	}
}
