package event

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth limits nesting, so that a hostile message cannot grow the stack. No message needs more than five levels.
const maxDepth = 64

// scanner reads JSON (RFC 8259) from a byte slice, strictly: UTF-8 only, no byte order mark, nothing after the value.
// The first syntax error stays in err, and every later call does nothing.
type scanner struct {
	b     []byte
	i     int
	depth int
	err   error
	text  []byte // unescaped text of the last string that had escapes
}

func (s *scanner) fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("not JSON: %s at byte %d", what, s.i)
	}
}

// peek skips whitespace and returns the next byte without consuming it, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// end reports an error if anything but whitespace remains.
func (s *scanner) end() {
	if s.err == nil && (s.peek() != 0 || s.i < len(s.b)) {
		s.fail("text after the value")
	}
}

// open enters an object or array and reports whether it has a first element.
func (s *scanner) open(left, right byte) bool {
	if s.err != nil || s.peek() != left {
		s.fail("no " + string(left))
		return false
	}
	if s.depth++; s.depth > maxDepth {
		s.fail(fmt.Sprintf("nested deeper than %d", maxDepth))
		return false
	}
	s.i++
	if s.peek() == right {
		s.i++
		s.depth--
		return false
	}
	return true
}

// more is called after an element. It reports whether another element follows.
func (s *scanner) more(right byte) bool {
	if s.err != nil {
		return false
	}
	switch s.peek() {
	case ',':
		s.i++
		return true
	case right:
		s.i++
		s.depth--
		return false
	}
	s.fail("no comma")
	return false
}

// key reads an object key and its colon. The bytes are valid until the next string.
func (s *scanner) key() []byte {
	k := s.str()
	if s.err == nil && s.peek() != ':' {
		s.fail("no colon")
	}
	s.i++
	return k
}

// str reads a string and returns its text, valid until the next string.
func (s *scanner) str() []byte {
	if s.err != nil || s.peek() != '"' {
		s.fail("no string")
		return nil
	}
	s.i++
	start, ascii := s.i, true
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			t := s.b[start:s.i]
			s.i++
			if !ascii && !utf8.Valid(t) {
				s.fail("text that is not UTF-8")
			}
			return t
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			s.fail("control character in a string")
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
		s.i++
	}
	s.fail("unended string")
	return nil
}

// escaped continues str at the first backslash.
func (s *scanner) escaped(start int) []byte {
	t := append(s.text[:0], s.b[start:s.i]...)
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch {
		case c == '"':
			s.text = t
			if !utf8.Valid(t) {
				s.fail("text that is not UTF-8")
			}
			return t
		case c < ' ':
			s.fail("control character in a string")
			return nil
		case c != '\\':
			t = append(t, c)
			continue
		}
		if s.i >= len(s.b) {
			break
		}
		c = s.b[s.i]
		s.i++
		switch c {
		case '"', '\\', '/':
			t = append(t, c)
		case 'b':
			t = append(t, '\b')
		case 'f':
			t = append(t, '\f')
		case 'n':
			t = append(t, '\n')
		case 'r':
			t = append(t, '\r')
		case 't':
			t = append(t, '\t')
		case 'u':
			t = utf8.AppendRune(t, s.unicode())
		default:
			s.fail("unknown escape")
		}
		if s.err != nil {
			return nil
		}
	}
	s.fail("unended string")
	return nil
}

// unicode reads the digits after \u. A lone surrogate becomes U+FFFD, as in encoding/json.
func (s *scanner) unicode() rune {
	r := s.hex4()
	if r < 0xD800 || r > 0xDFFF {
		return r
	}
	if r < 0xDC00 && s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		back := s.i
		s.i += 2
		if low := s.hex4(); low >= 0xDC00 && low <= 0xDFFF {
			return (r-0xD800)<<10 | (low - 0xDC00) + 0x10000
		}
		s.i = back
	}
	return utf8.RuneError
}

func (s *scanner) hex4() rune {
	if s.i+4 > len(s.b) {
		s.fail("short \\u escape")
		return 0
	}
	var r rune
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			s.fail("bad \\u escape")
			return 0
		}
	}
	s.i += 4
	return r
}

// number reads a number and returns its literal text.
func (s *scanner) number() []byte {
	s.peek()
	start := s.i
	if s.at('-') {
		s.i++
	}
	if s.at('0') {
		s.i++
	} else if !s.digits() {
		s.fail("unknown value")
		return nil
	}
	if s.at('.') {
		s.i++
		if !s.digits() {
			s.fail("number without digits after its point")
		}
	}
	if s.at('e') || s.at('E') {
		s.i++
		if s.at('+') || s.at('-') {
			s.i++
		}
		if !s.digits() {
			s.fail("number without digits in its exponent")
		}
	}
	return s.b[start:s.i]
}

func (s *scanner) at(c byte) bool { return s.i < len(s.b) && s.b[s.i] == c }

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

func (s *scanner) literal(word string) {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.fail("unknown value")
		return
	}
	s.i += len(word)
}

// kind returns the kind of the next value, for error messages.
func (s *scanner) kind() string {
	switch s.peek() {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

// skip reads any value and discards it.
func (s *scanner) skip() {
	if s.err != nil {
		return
	}
	switch s.peek() {
	case '{':
		for ok := s.open('{', '}'); ok; ok = s.more('}') {
			s.key()
			s.skip()
		}
	case '[':
		for ok := s.open('[', ']'); ok; ok = s.more(']') {
			s.skip()
		}
	case '"':
		s.str()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// wrongType skips the value and returns an error with the expected and the actual type.
func (s *scanner) wrongType(want string) error {
	have := s.kind()
	s.skip()
	return errors.New("want " + want + ", have " + have)
}

// stringValue reads a string. Another type is an error of the value, not of the syntax.
func (s *scanner) stringValue() (string, error) {
	if s.peek() != '"' {
		return "", s.wrongType("a string")
	}
	return string(s.str()), nil
}

// numberValue reads a number within the bounds for all numbers: 0..maxNumber.
func (s *scanner) numberValue() (float64, error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, s.wrongType("a number")
	}
	lit := s.number()
	if s.err != nil {
		return 0, nil
	}
	v, err := strconv.ParseFloat(string(lit), 64)
	if err != nil || v > maxNumber {
		return 0, fmt.Errorf("%s is out of range", clip(lit))
	}
	if v < 0 || (lit[0] == '-' && !isZeroLiteral(lit)) {
		return 0, fmt.Errorf("%s is negative", clip(lit))
	}
	return v + 0, nil // -0 becomes 0
}

func isZeroLiteral(lit []byte) bool {
	for _, c := range lit {
		if c == 'e' || c == 'E' {
			break
		}
		if c >= '1' && c <= '9' {
			return false
		}
	}
	return true
}

// clip limits the length of a value in an error.
func clip(b []byte) string {
	const most = 40
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

// PeekIdentity returns the serviceId and instanceId of a message that may be non-conforming. A value that cannot be
// read is empty.
func PeekIdentity(b []byte) (serviceID, instanceID string) {
	s := scanner{b: b}
	if s.peek() != '{' {
		return "", ""
	}
	for ok := s.open('{', '}'); ok; ok = s.more('}') {
		var at *string
		switch string(s.key()) {
		case "serviceId":
			at = &serviceID
		case "instanceId":
			at = &instanceID
		default:
			s.skip()
			continue
		}
		v, err := s.name()
		if err != nil || s.err != nil || v == InstanceAll {
			v = ""
		}
		*at = v
	}
	return serviceID, instanceID
}
