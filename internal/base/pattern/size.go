package pattern

import "regexp/syntax"

// Size is what a compiled pattern consists of. Values beyond Max are Max.
type Size struct {
	Steps  int // of the program, from above; about 40 bytes each. Matching takes time in proportion
	Ranges int // of its character classes; 8 bytes each, three times that where the pattern is anchored
}

// Max is the largest value in a Size.
const Max = 1 << 40

// Measure gives the size of a tree with its repetitions written out. The
// library shares a repeated class among its copies, but not in anchored
// patterns, whose one-pass program copies each.
func Measure(re *syntax.Regexp) Size {
	size := Size{Steps: 1}
	for _, sub := range re.Sub {
		inner := Measure(sub)
		size.Steps += inner.Steps
		size.Ranges += inner.Ranges
	}
	switch re.Op {
	case syntax.OpLiteral:
		size.Steps += len(re.Rune)
	case syntax.OpCharClass:
		size.Ranges += len(re.Rune) / 2
	case syntax.OpRepeat:
		times := max(re.Max, re.Min, 1) // Max of x{3,} is -1
		if re.Max < 0 {
			times++
		}
		size.Steps *= times
		size.Ranges *= times
	}
	return Size{Steps: min(size.Steps, Max), Ranges: min(size.Ranges, Max)}
}
