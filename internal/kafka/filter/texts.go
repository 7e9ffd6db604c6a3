package filter

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/smartlb/smartlb/internal/base/pattern"
)

// texts are text functions that replace CEL's functions, which copy the text into an array of characters for each call
// and search in quadratic time. Positions are in characters, from 0.
type texts struct {
	budget  *budget
	regexps map[string]*compiled // by source
	ranges  int                  // of all compiled expressions
}

// compiled is a compiled regular expression.
type compiled struct {
	re   *regexp.Regexp
	size int64 // steps, see patternSize
}

func (t *texts) functions() map[string]functions.FunctionOp {
	return map[string]functions.FunctionOp{
		"charAt":      charAt,
		"indexOf":     indexOf,
		"lastIndexOf": lastIndexOf,
		"substring":   substring,
		"lowerAscii":  lowerASCII,
		"upperAscii":  upperASCII,
		"reverse":     reverse,
		"matches":     t.matches,
	}
}

// noOverload is CEL's result for arguments of other types.
func noOverload() ref.Val { return types.NoSuchOverloadErr() }

// textAndNumbers returns a text and the integers after it. The integers begin at position from.
func textAndNumbers(args []ref.Val, from int) (s string, numbers []int64, ok bool) {
	text, ok := args[0].(types.String)
	for _, a := range args[min(from, len(args)):] {
		n, isInt := a.(types.Int)
		ok = ok && isInt
		numbers = append(numbers, int64(n))
	}
	return string(text), numbers, ok
}

// byteAt returns where character n begins; the length of s for the position after the last character.
func byteAt(s string, n int64) (int, bool) {
	if n < 0 || n > int64(len(s)) {
		return 0, false
	}
	at := 0
	for ; n > 0; n-- {
		if at == len(s) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at, true
}

func outOfRange(n int64) ref.Val { return types.NewErr("index out of range: %d", n) }

func charAt(args ...ref.Val) ref.Val {
	s, n, ok := textAndNumbers(args, 1)
	if !ok || len(n) != 1 {
		return noOverload()
	}
	at, ok := byteAt(s, n[0])
	if !ok {
		return outOfRange(n[0])
	}
	_, size := utf8.DecodeRuneInString(s[at:])
	return types.String(s[at : at+size])
}

func substring(args ...ref.Val) ref.Val {
	s, n, ok := textAndNumbers(args, 1)
	if !ok || len(n) == 0 || len(n) > 2 {
		return noOverload()
	}
	begin, ok := byteAt(s, n[0])
	if !ok {
		return outOfRange(n[0])
	}
	if len(n) == 1 {
		return types.String(s[begin:])
	}
	if n[0] > n[1] {
		return types.NewErr("invalid substring range. start: %d, end: %d", n[0], n[1])
	}
	size, ok := byteAt(s[begin:], n[1]-n[0])
	if !ok {
		return outOfRange(n[1])
	}
	return types.String(s[begin : begin+size])
}

func indexOf(args ...ref.Val) ref.Val {
	s, n, ok := textAndNumbers(args, 2)
	word, isText := args[1].(types.String)
	if !ok || !isText || len(n) > 1 {
		return noOverload()
	}
	from := int64(0)
	if len(n) == 1 {
		from = n[0]
	}
	if from < 0 {
		return outOfRange(from)
	}
	at, within := byteAt(s, from)
	switch {
	case word == "" && !within:
		return types.Int(utf8.RuneCountInString(s))
	case word == "":
		return types.Int(from)
	case !within:
		return types.Int(-1)
	}
	i := strings.Index(s[at:], string(word))
	if i < 0 {
		return types.Int(-1)
	}
	return types.Int(from + int64(utf8.RuneCountInString(s[at:at+i])))
}

func lastIndexOf(args ...ref.Val) ref.Val {
	s, n, ok := textAndNumbers(args, 2)
	word, isText := args[1].(types.String)
	if !ok || !isText || len(n) > 1 {
		return noOverload()
	}
	end := len(s) // no match begins after it
	if len(n) == 1 {
		if n[0] < 0 {
			return outOfRange(n[0])
		}
		at, within := byteAt(s, n[0])
		switch {
		case word == "" && !within:
			return types.Int(utf8.RuneCountInString(s))
		case word == "":
			return types.Int(n[0])
		case !within || at == len(s):
			return types.Int(-1)
		}
		end = at
	}
	if word == "" {
		return types.Int(utf8.RuneCountInString(s))
	}
	i := strings.LastIndex(s[:min(len(s), end+len(word))], string(word))
	if i < 0 {
		return types.Int(-1)
	}
	return types.Int(utf8.RuneCountInString(s[:i]))
}

// mapped replaces bytes of ASCII letters.
func mapped(args []ref.Val, from, to byte) ref.Val {
	s, ok := args[0].(types.String)
	if !ok {
		return noOverload()
	}
	out := []byte(s)
	for i, c := range out {
		if c >= from && c < from+26 {
			out[i] = c - from + to
		}
	}
	return types.String(out)
}

func lowerASCII(args ...ref.Val) ref.Val { return mapped(args, 'A', 'a') }
func upperASCII(args ...ref.Val) ref.Val { return mapped(args, 'a', 'A') }

func reverse(args ...ref.Val) ref.Val {
	s, ok := args[0].(types.String)
	if !ok {
		return noOverload()
	}
	out := make([]byte, 0, len(s))
	for rest := string(s); rest != ""; {
		_, size := utf8.DecodeLastRuneInString(rest)
		out = append(out, rest[len(rest)-size:]...)
		rest = rest[:len(rest)-size]
	}
	return types.String(out)
}

// Bounds of regular expressions. RE2 takes time in proportion to the length of the text times the size of the
// expression.
const (
	maxPattern  = 4 << 10   // bytes
	maxProgram  = 2000      // steps, with repetitions written out
	maxRanges   = 100_000   // of its character classes, 8 to 24 bytes each; \pL has 660
	keepRegexps = 64        // compiled expressions to keep
	keepRanges  = 1_000_000 // in all kept expressions
)

func (t *texts) matches(args ...ref.Val) ref.Val {
	s, isText := args[0].(types.String)
	source, isPattern := args[1].(types.String)
	if !isText || !isPattern {
		return noOverload()
	}
	p, err := t.compile(string(source))
	if err != nil {
		return types.WrapErr(err)
	}
	t.budget.scan(times(int64(len(s)), p.size))
	return types.Bool(p.re.MatchString(string(s)))
}

// compile returns a compiled pattern, from the kept ones if possible.
func (t *texts) compile(source string) (*compiled, error) {
	if p := t.regexps[source]; p != nil {
		return p, nil
	}
	if len(source) > maxPattern {
		return nil, fmt.Errorf("matches: a pattern of %d bytes is longer than %d", len(source), maxPattern)
	}
	t.budget.scan(int64(len(source)) << 13) // one byte can stand for a class of 660 ranges, and takes up to 4 microseconds
	size, err := patternSize(source)
	if err != nil {
		return nil, err
	}
	t.budget.scan(int64(size.Steps)<<10 + int64(size.Ranges)<<5) // a step takes about a microsecond
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, err
	}
	if t.ranges += size.Ranges; t.regexps == nil || len(t.regexps) >= keepRegexps || t.ranges > keepRanges {
		t.regexps, t.ranges = map[string]*compiled{}, size.Ranges
	}
	p := &compiled{re, int64(size.Steps)}
	t.regexps[source] = p
	return p, nil
}

// patternSize returns the size of a pattern after compilation. The error is for a pattern that is too large.
func patternSize(source string) (pattern.Size, error) {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return pattern.Size{}, err
	}
	size := pattern.Measure(tree)
	if size.Steps > maxProgram {
		return size, fmt.Errorf("matches: the pattern is too large: %d steps with its repetitions written out are more than %d", size.Steps, maxProgram)
	}
	if size.Ranges > maxRanges {
		return size, fmt.Errorf("matches: the pattern is too large: %d ranges in its character classes, with repetitions written out, are more than %d", size.Ranges, maxRanges)
	}
	return size, nil
}
