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
)

// texts are functions over text that take the place of CEL's: those copy the
// text into an array of characters for each call, and look for a text in
// quadratic time. Positions are in characters, from 0.
type texts struct {
	budget  *budget
	regexps map[string]*pattern // by source
}

// pattern is a compiled regular expression.
type pattern struct {
	re   *regexp.Regexp
	size int64 // nodes, see patternSize
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

// noOverload is CEL's answer to arguments of other types.
func noOverload() ref.Val { return types.NoSuchOverloadErr() }

// textAndNumbers reads a text and the integers after it, from position from on.
func textAndNumbers(args []ref.Val, from int) (s string, numbers []int64, ok bool) {
	text, ok := args[0].(types.String)
	for _, a := range args[min(from, len(args)):] {
		n, isInt := a.(types.Int)
		ok = ok && isInt
		numbers = append(numbers, int64(n))
	}
	return string(text), numbers, ok
}

// byteAt is where character n begins; the length of s for the position after
// the last one.
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
	end := len(s) // no match begins behind it
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

// Bounds of regular expressions. RE2 takes time in proportion to the text times
// the size of the expression.
const (
	maxPattern  = 4 << 10 // bytes
	maxProgram  = 2000    // nodes, with repetitions written out
	keepRegexps = 64      // compiled ones that are kept
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

// compile compiles a pattern, or finds it compiled.
func (t *texts) compile(source string) (*pattern, error) {
	if p := t.regexps[source]; p != nil {
		return p, nil
	}
	if len(source) > maxPattern {
		return nil, fmt.Errorf("matches: a pattern of %d bytes is longer than %d", len(source), maxPattern)
	}
	size, err := patternSize(source)
	if err != nil {
		return nil, err
	}
	t.budget.scan(size << 10) // a node takes about a microsecond
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, err
	}
	if t.regexps == nil || len(t.regexps) >= keepRegexps {
		t.regexps = map[string]*pattern{}
	}
	p := &pattern{re, size}
	t.regexps[source] = p
	return p, nil
}

// patternSize is the number of nodes of a pattern with its repetitions written
// out: a{500} has 500. It is at least 1.
func patternSize(source string) (int64, error) {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return 0, err
	}
	size := nodes(tree)
	if size > maxProgram {
		return 0, fmt.Errorf("matches: the pattern is too large: %d nodes with its repetitions written out are more than %d", size, maxProgram)
	}
	return size, nil
}

func nodes(re *syntax.Regexp) int64 {
	n := int64(1)
	if re.Op == syntax.OpLiteral {
		n = int64(len(re.Rune))
	}
	for _, sub := range re.Sub {
		n += nodes(sub)
	}
	if re.Op == syntax.OpRepeat {
		n = times(n, int64(max(1, re.Min, re.Max)))
	}
	return max(n, 1)
}
