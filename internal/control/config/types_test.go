package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// wrongValues are values of another type for each format of the reference, with what the message must say. A key of text takes
// numbers and words too.
func wrongValues(format string) (values []string, want string) {
	switch {
	case format == "section" || format == "names with texts":
		return []string{"5", "word", "[a]"}, "want keys with values"
	case strings.HasPrefix(format, "list of "):
		return []string{"5", "word", "{a: b}"}, "want a list"
	case format == "duration":
		return []string{"5", "word", "[1s]", "{a: b}", "-1s", "99999999999999999999h"}, "duration"
	case format == "whole number":
		return []string{"word", "1.5", "'5'", "[5]", "{a: b}", "99999999999999999999", "1s"}, "want a whole number"
	case format == "number":
		return []string{"word", "[5]", "{a: b}", ".nan", ".inf", "1e999"}, "want a number"
	case format == "true or false":
		return []string{"5", "word", "'true'", "[true]", "{a: b}"}, "want true or false"
	}
	return []string{"[a]", "{a: b}"}, "want text"
}

// at writes a document that has only one key, each part of its path in a line of its own. It returns the path as mistakes name it,
// and the line of the key.
func at(path, value string) (document, name string, line int) {
	var b strings.Builder
	indent := ""
	parts := strings.Split(path, ".")
	for i, part := range parts {
		key, item := strings.CutSuffix(part, "[]")
		fmt.Fprintf(&b, "%s%s:", indent, key)
		if i == len(parts)-1 {
			break
		}
		b.WriteString("\n")
		if indent = strings.ReplaceAll(indent, "-", " ") + "  "; item {
			indent += "- "
		}
	}
	b.WriteString(" " + value + "\n")
	return b.String(), strings.ReplaceAll(path, "[]", "[0]"), len(parts)
}

// Each key of the reference names its line, its path and what is allowed if its value has another type, and no message repeats
// a long value.
func TestEachKeyRefusesOtherTypes(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	count := 0
	for _, s := range sections(t) {
		for _, k := range append([]key{s.key}, s.keys...) {
			values, want := wrongValues(k.format)
			for _, v := range values {
				document, path, line := at(k.path, v)
				_, err := Parse([]byte(document))
				found := ""
				mistakes, _ := err.(Mistakes)
				for _, m := range mistakes {
					if m.Path == path && m.Line == line {
						found += m.Text + "\n"
					}
				}
				if count++; !strings.Contains(found, want) {
					t.Errorf("%s: %s (%s): want line %d: %s: %s, got\n%.500v", k.path, v, k.format, line, path, want, err)
				}
			}
			for _, v := range []string{long, `"` + long + `"`, `"${` + long + `}"`, "9" + strings.Repeat("0", 20_000), "[" + long + "]", "{a: " + long + "}", "{" + long + ": a}"} {
				document, _, _ := at(k.path, v)
				if _, err := Parse([]byte(document)); err != nil && len(err.Error()) > 10_000 {
					t.Errorf("%s: %.20s: a message of %d bytes: %.300v", k.path, v, len(err.Error()), err)
				}
			}
		}
	}
	if count < 1500 {
		t.Errorf("only %d values were tried", count)
	}
}

// Each number and each duration has bounds. A key that stands alone may lack what its check needs, so it may miss them here.
func TestEachNumberHasBounds(t *testing.T) {
	needsMore := map[string]string{
		"routes[].rateLimits[].burst": "rate", "services[].rateLimits[].burst": "rate",
	}
	for _, s := range sections(t) {
		for _, k := range s.keys {
			var values []string
			switch k.format {
			case "whole number":
				values = []string{"900000000000000000", "-900000000000000000", "-1"}
			case "number":
				values = []string{"1e300", "-1e300", "-1"}
			case "duration":
				values = []string{"87601h", "2500000h"}
			}
			for _, v := range values {
				document, path, line := at(k.path, v)
				_, err := Parse([]byte(document))
				mistakes, _ := err.(Mistakes)
				if refused := slices.ContainsFunc(mistakes, func(m Mistake) bool { return m.Path == path && m.Line == line }); refused == (needsMore[k.path] != "") {
					t.Errorf("%s: %s: refused is %v:\n%.300v", k.path, v, refused, err)
				}
			}
		}
	}
}
