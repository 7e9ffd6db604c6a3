package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// Mistake is one mistake in a document.
type Mistake struct {
	Line int    `json:"line"` // 0: the document as a whole
	Path string `json:"path"` // like services[2].instances[0].address
	Text string `json:"text"` // what is wrong and what is allowed
}

// Mistakes lists all mistakes, ordered by line. It is an error if it is not empty.
type Mistakes []Mistake

// maxMistakes is the maximum number of reported mistakes. A document of megabytes may be wrong in every line.
const maxMistakes = 200

// maxRepeated limits what a mistake repeats of the document, in bytes of each part. A value may have megabytes.
const maxRepeated = 1000

// ownText is a text without values of the document, which is never cut.
type ownText string

// newMistake returns a mistake. It changes args.
func newMistake(line int, path, format string, args []any) Mistake {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = cut(a)
		case error:
			args[i] = cut(a.Error())
		}
	}
	return Mistake{Line: line, Path: cut(path), Text: fmt.Sprintf(format, args...)}
}

// cut returns the first maxRepeated bytes of a text.
func cut(s string) string {
	if len(s) <= maxRepeated {
		return s
	}
	return strings.ToValidUTF8(s[:maxRepeated], "") + "..."
}

// full reports whether the limit is reached, so that no more mistakes are collected.
func (m Mistakes) full() bool { return len(m) >= maxMistakes }

func (m Mistake) String() string {
	if m.Path == "" {
		return fmt.Sprintf("line %d: %s", m.Line, m.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", m.Line, m.Path, m.Text)
}

// In returns the mistake as String does, for a named file, in the format that editors read. A default that is not in
// the file has no line.
func (m Mistake) In(file string) string {
	parts := []string{file}
	if m.Line > 0 {
		parts[0] = fmt.Sprintf("%s:%d", file, m.Line)
	}
	if m.Path != "" {
		parts = append(parts, m.Path)
	}
	return strings.Join(append(parts, m.Text), ": ")
}

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.String()
	}
	return strings.Join(lines, "\n")
}

func (m Mistakes) sorted() Mistakes {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Path, b.Path)
	})
	if m.full() {
		m = append(m, Mistake{Line: m[len(m)-1].Line, Text: fmt.Sprintf("the first %d mistakes are shown; correct them to see whether there are more", maxMistakes)})
	}
	return m
}

func syntaxMistake(err error) Mistake {
	var refused *yamlsafe.Error
	if errors.As(err, &refused) {
		return Mistake{Line: refused.Line, Text: refused.Text}
	}
	return Mistake{Text: "not YAML: " + cut(err.Error())}
}
