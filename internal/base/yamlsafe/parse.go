package yamlsafe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// Parse reads a text within limits. The error is an [*Error].
func Parse(src []byte, l Limits) (*ast.File, error) {
	tokens, err := tokenize(src, &inspector{limits: l})
	if err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, Short(err)
	}
	if len(file.Docs) > l.Documents {
		second := file.Docs[l.Documents]
		line := 0
		if second.Start != nil {
			line = second.Start.Position.Line
		}
		return nil, &Error{Line: line, Text: tooManyDocuments(l.Documents)}
	}
	return file, expand(file)
}

func tooManyDocuments(n int) string {
	if n == 1 {
		return "a second YAML document (after ---) is not allowed"
	}
	return fmt.Sprintf("more than %d documents", n)
}

// Decode reads a text within limits into v. Unknown keys are an error.
func Decode(src []byte, l Limits, v any) error {
	if _, err := Parse(src, l); err != nil {
		return err
	}
	err := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict()).Decode(v)
	if errors.Is(err, io.EOF) {
		return err
	}
	return Short(err)
}

// Documents reads the documents of a text within limits. It returns them as the library decodes them into any.
func Documents(src []byte, l Limits) ([]any, error) {
	if _, err := Parse(src, l); err != nil {
		return nil, err
	}
	var out []any
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var v any
		switch err := dec.Decode(&v); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, Short(err)
		}
		out = append(out, v)
	}
}

// FromJSON returns the block form of a JSON text. If the text is not within limits, it returns the text unchanged: JSON
// is YAML.
func FromJSON(src []byte, l Limits) ([]byte, error) {
	if _, err := Parse(src, l); err != nil {
		return append(bytes.TrimRight(src, "\n"), '\n'), nil
	}
	return yaml.JSONToYAML(src)
}

// Short converts an error of the library to an [*Error]. The library's own text quotes the source around the mistake,
// which may contain secrets, and for some mistakes it quotes the whole source.
func Short(err error) error {
	if err == nil {
		return nil
	}
	var known yaml.Error
	if errors.As(err, &known) {
		e := &Error{Text: "not YAML: " + known.GetMessage()}
		if t := known.GetToken(); t != nil {
			e.Line = t.Position.Line
		}
		var syntax *yaml.SyntaxError
		if !errors.As(err, &syntax) {
			e.Text = known.GetMessage()
		}
		return e
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return &Error{Text: "not YAML: " + text}
}

// indicators can begin or end a token. A text has at most twice as many tokens as indicators.
const indicators = "[]{},:-?&*!|>%@`#\n\r\"'<"

func tokenize(src []byte, i *inspector) (token.Tokens, error) {
	l := i.limits
	if len(src) > l.Bytes {
		return nil, &Error{Text: fmt.Sprintf("larger than %d KiB", l.Bytes>>10)}
	}
	n, run, compared := 0, 0, 0
	for _, c := range src {
		if strings.IndexByte(indicators, c) >= 0 {
			n++
		}
		if c != '<' {
			run = 0
			continue
		}
		run++
		compared += run
	}
	if compared > maxCompared {
		return nil, &Error{Text: "too many < in a row"}
	}
	if n > l.Tokens+l.Tokens/4 {
		return nil, &Error{Text: fmt.Sprintf("more than %d keys, values and brackets", l.Tokens)}
	}
	if err := checkLines(src); err != nil {
		return nil, err
	}
	var s scanner.Scanner
	s.Init(string(src))
	var all token.Tokens
	for {
		tokens, err := s.Scan()
		if err == io.EOF {
			return all, i.end()
		}
		for _, t := range tokens {
			if err := i.take(t); err != nil {
				return nil, err
			}
		}
		all.Add(tokens...)
		if err != nil {
			return nil, Short(err) // caused by an invalid token
		}
	}
}
