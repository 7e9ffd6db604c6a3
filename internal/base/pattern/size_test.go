package pattern

import (
	"regexp/syntax"
	"strings"
	"testing"
)

// The estimate is never below the program that the library makes.
func TestSizeIsNotBelowTheProgram(t *testing.T) {
	for _, source := range []string{
		"", "a", "abc", "a|b", "(a)(b)?", "x{900}", "x{3,}", "(ab{2,5}){10}", `\pL`, `[\pL\pN]{1,40}`, "(?i)straße", "^(?:/api/v[0-9]{1,3}/[^/]*)$",
		strings.Repeat(`\pL`, 100), `(?:(?:\d{4}-){2}|\w+){3}`,
	} {
		tree, err := syntax.Parse(source, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		size := Measure(tree)
		prog, err := syntax.Compile(tree.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		ranges := 0
		for _, step := range prog.Inst {
			if step.Op == syntax.InstRune && len(step.Rune) > 1 {
				ranges += len(step.Rune) / 2
			}
		}
		// The program begins with a failing step and ends with a match.
		if len(prog.Inst) > 2*size.Steps+2 || ranges > size.Ranges {
			t.Errorf("%.40q: %+v, and the program has %d steps and %d ranges", source, size, len(prog.Inst), ranges)
		}
	}
}

func TestRepetitionsDoNotOverflow(t *testing.T) {
	class := &syntax.Regexp{Op: syntax.OpCharClass, Rune: make([]rune, 1320)}
	for range 20 {
		class = &syntax.Regexp{Op: syntax.OpRepeat, Min: 1000, Max: 1000, Sub: []*syntax.Regexp{class}}
	}
	if got := Measure(class); got != (Size{Max, Max}) {
		t.Errorf("got %+v", got)
	}
}
