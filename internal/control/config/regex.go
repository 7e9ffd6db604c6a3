package config

import (
	"regexp/syntax"

	"github.com/smartlb/smartlb/internal/base/pattern"
)

// Limits for the patterns of a document. A pattern of a few bytes can compile to a program of megabytes, and a request
// may be compared with each pattern.
const (
	maxPatterns     = 2000
	maxPatternBytes = 4096
	maxProgram      = 10_000  // steps of one pattern's program, about 40 bytes each
	maxPrograms     = 500_000 // of all patterns
	maxRanges       = 100_000 // ranges of one pattern's character classes, 8 to 24 bytes each; \pL has 660
	maxAllRanges    = 1_000_000
)

// regex checks a pattern and reports whether it may be compiled. It does not compile patterns that are too large.
func (c *checker) regex(path, expr string) (ok bool) { return c.regexWithin(path, expr, maxProgram) }

// regexWithin is regex with another limit for the steps of the program.
func (c *checker) regexWithin(path, expr string, most int) (ok bool) {
	if expr == "" {
		return true
	}
	if c.patterns++; c.patterns > maxPatterns {
		c.fail(path, "more than %d patterns in one document", maxPatterns)
		return false
	}
	if c.programs > maxPrograms || c.ranges > maxAllRanges { // already reported; parsing one pattern takes up to 20 ms
		return false
	}
	if len(expr) > maxPatternBytes {
		c.fail(path, "longer than %d bytes", maxPatternBytes)
		return false
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		c.fail(path, "%v", err)
		return false
	}
	size := pattern.Measure(re)
	c.programs += min(size.Steps, maxProgram+1)
	c.ranges += min(size.Ranges, maxRanges+1)
	switch {
	case size.Steps > most:
		c.fail(path, "repetitions make a program of more than %d steps of it", most)
	case size.Ranges > maxRanges:
		c.fail(path, "its character classes have more than %d ranges with repetitions written out", maxRanges)
	case c.programs > maxPrograms:
		c.fail(path, "the patterns together make programs of more than %d steps", maxPrograms)
	case c.ranges > maxAllRanges:
		c.fail(path, "the character classes of all patterns together have more than %d ranges", maxAllRanges)
	default:
		return true
	}
	return false
}

// mayBegin reports whether a text that matches the expression can begin with r. It returns true for an invalid
// expression.
func mayBegin(expr string, r rune) bool {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return true
	}
	if size := pattern.Measure(re); size.Steps > maxProgram || size.Ranges > maxRanges {
		return true
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return true
	}
	seen := make([]bool, len(prog.Inst))
	for next := []uint32{uint32(prog.Start)}; len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		switch i := &prog.Inst[at]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			next = append(next, i.Out, i.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			next = append(next, i.Out)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if i.MatchRune(r) {
				return true
			}
		}
	}
	return false
}
