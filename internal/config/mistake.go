package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	yamlerrors "github.com/goccy/go-yaml"
)

// Mistake is one thing that is wrong in a document.
type Mistake struct {
	Line int    `json:"line"` // 0: the document as a whole
	Path string `json:"path"` // like services[2].instances[0].address
	Text string `json:"text"` // what is wrong and what is allowed
}

// Mistakes is everything that is wrong, in the order of the lines. It is an
// error when it is not empty.
type Mistakes []Mistake

func (m Mistake) String() string {
	if m.Path == "" {
		return fmt.Sprintf("line %d: %s", m.Line, m.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", m.Line, m.Path, m.Text)
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
	return m
}

func syntaxMistake(err error) Mistake {
	var se *yamlerrors.SyntaxError
	if errors.As(err, &se) && se.Token != nil {
		return Mistake{Line: se.Token.Position.Line, Text: "not YAML: " + se.Message}
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return Mistake{Text: "not YAML: " + text}
}
