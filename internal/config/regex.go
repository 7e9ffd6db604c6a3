package config

import "regexp/syntax"

// Bounds on the patterns of a document. A pattern of a few bytes can compile to
// a program of megabytes, and a request may be compared with each.
const (
	maxPatterns     = 2000
	maxPatternBytes = 4096
	maxProgram      = 10_000  // steps of one pattern's program, about 40 bytes each
	maxPrograms     = 500_000 // of all
)

// regex checks a pattern without compiling what is too large.
func (c *checker) regex(path, expr string) {
	if expr == "" {
		return
	}
	if c.patterns++; c.patterns > maxPatterns {
		c.fail(path, "more than %d patterns in one document", maxPatterns)
		return
	}
	if len(expr) > maxPatternBytes {
		c.fail(path, "longer than %d bytes", maxPatternBytes)
		return
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		c.fail(path, "%v", err)
		return
	}
	size := programSize(re)
	c.programs += size
	switch {
	case size > maxProgram:
		c.fail(path, "repetitions make a program of more than %d steps of it", maxProgram)
	case c.programs > maxPrograms:
		c.fail(path, "the patterns together make programs of more than %d steps", maxPrograms)
	}
}

// programSize estimates the steps of a compiled pattern from above. The library
// bounds the depth of the tree.
func programSize(re *syntax.Regexp) int {
	size := 1
	for _, sub := range re.Sub {
		size = min(size+programSize(sub), maxProgram+1)
	}
	switch re.Op {
	case syntax.OpLiteral:
		size += len(re.Rune)
	case syntax.OpRepeat:
		times := re.Max
		if times < 0 {
			times = re.Min + 1
		}
		size *= max(times, 1)
	}
	return min(size+1, maxProgram+1)
}

// mayBegin reports whether what an expression matches can begin with r. A wrong
// expression may.
func mayBegin(expr string, r rune) bool {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil || programSize(re) > maxProgram {
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
