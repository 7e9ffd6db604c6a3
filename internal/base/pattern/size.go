package pattern

import "regexp/syntax"

// Size is the size of a compiled pattern. Values above Max are set to Max.
type Size struct {
	Steps  int // upper bound of the program's steps; about 40 bytes each. Matching time is proportional
	Ranges int // of its character classes; 8 bytes each, three times that if the pattern is anchored
}

// Max is the highest value in a Size.
const Max = 1 << 40

// Measure returns the size of a tree with its repetitions written out. The library shares a repeated class among its
// copies, except in anchored patterns: their one-pass program copies each class.
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
