package filter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// Terms are simple conditions on records. Empty terms accept all records; a record matches when all other terms hold.
type Terms struct {
	Text   string // words that key, value or headers contain, each anywhere, ignoring case; "several words" in quotes count as one
	Key    string // text that the key contains, ignoring case; in quotes, the exact key
	Header string // NAME: a header of that name exists; NAME:TEXT: and it contains TEXT
	Path   string // a path in the JSON of the value, see ParsePath
	Where  string // a CEL expression, see Compile
}

// Matcher holds compiled Terms. It is safe for concurrent use.
type Matcher struct {
	words  []fold
	key    *fold
	exact  []byte // the whole key; nil: no condition
	name   string
	header *fold
	path   *Path
	where  *Filter

	looked, there, comparable atomic.Int64 // records with JSON, with a value at path, and with a value of the operand's type
	unread                    atomic.Int64 // records whose JSON is beyond the bounds
	unreadWhy                 atomic.Pointer[string]
	source                    string // of path
}

// TermError is a mistake in one of the terms.
type TermError struct {
	Term string // text, key, header, json or where
	Err  error
}

func (e *TermError) Error() string { return e.Term + ": " + e.Err.Error() }
func (e *TermError) Unwrap() error { return e.Err }

// Compile checks the terms and reports every mistake, each a TermError.
func (t Terms) Compile() (*Matcher, error) {
	m := &Matcher{}
	var errs []error
	words, err := splitWords(t.Text)
	if err != nil {
		errs = append(errs, &TermError{"text", err})
	}
	for _, w := range words {
		m.words = append(m.words, newFold(w))
	}
	if k := t.Key; k != "" {
		if inner, quoted := unquote(k); quoted {
			m.exact = []byte(inner)
		} else {
			f := newFold(k)
			m.key = &f
		}
	}
	if t.Header != "" {
		name, text, has := strings.Cut(t.Header, ":")
		m.name = strings.TrimSpace(name)
		if m.name == "" {
			errs = append(errs, &TermError{"header", errors.New("a name is missing: NAME or NAME:TEXT")})
		}
		if text = strings.TrimSpace(text); has && text != "" {
			f := newFold(text)
			m.header = &f
		}
	}
	if t.Path != "" {
		m.source = t.Path
		if m.path, err = ParsePath(t.Path); err != nil {
			errs = append(errs, &TermError{"json", err})
		}
	}
	if strings.TrimSpace(t.Where) != "" {
		if m.where, err = Compile(t.Where); err != nil {
			errs = append(errs, &TermError{"where", err})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// All reports whether every record matches.
func (m *Matcher) All() bool {
	return len(m.words) == 0 && m.key == nil && m.exact == nil && m.name == "" && m.path == nil && m.where == nil
}

// Match reports whether all terms hold. It checks the cheap ones first. The error is that of ctx if it ended before all
// terms were checked.
func (m *Matcher) Match(ctx context.Context, r Record) (bool, error) {
	if m.key != nil && !m.key.in(r.Key) || m.exact != nil && (r.Key == nil || !bytes.Equal(m.exact, r.Key)) {
		return false, nil
	}
	if m.name != "" && !m.hasHeader(r) {
		return false, nil
	}
	for _, w := range m.words {
		if !w.anywhere(r) {
			return false, nil
		}
	}
	if m.path != nil && !m.hasPath(&r) {
		return false, nil
	}
	if m.where == nil {
		return true, nil
	}
	return m.where.match(ctx, &r)
}

func (m *Matcher) hasPath(r *Record) bool {
	doc, err := r.document()
	if err != nil {
		m.unread.Add(1)
		text := err.Error()
		m.unreadWhy.CompareAndSwap(nil, &text)
		return false
	}
	holds, found, comparable := m.path.look(doc)
	m.looked.Add(1)
	if found {
		m.there.Add(1)
	}
	if comparable {
		m.comparable.Add(1)
	}
	return holds
}

// Notes returns probable mistakes in the terms, after records were matched: a JSON path that no record has, or whose
// value never has the operand's type.
func (m *Matcher) Notes() []string {
	if m.path == nil || m.looked.Load() == 0 {
		return nil
	}
	n, there := m.looked.Load(), m.there.Load()
	switch {
	case len(m.path.steps) > 0 && there == 0:
		return []string{fmt.Sprintf("json: %s: no value of the %d records looked at has this path", cut(m.source), n)}
	case there > 0 && m.comparable.Load() == 0:
		what := "text"
		if m.path.num != nil {
			what = "a number"
		}
		return []string{fmt.Sprintf("json: %s: the path has a value in %d records, and it is %s in none of them", cut(m.source), there, what)}
	}
	return nil
}

func (m *Matcher) hasHeader(r Record) bool {
	for _, h := range r.Headers {
		if h.Key == m.name && (m.header == nil || m.header.in(h.Value)) {
			return true
		}
	}
	return false
}

// Undecided returns the number of records for which the terms were neither true nor false, and the reason for the first
// of them.
func (m *Matcher) Undecided() (n int64, why string) {
	if m.where != nil {
		n, why = m.where.Undecided()
	}
	if text := m.unreadWhy.Load(); text != nil && why == "" {
		why = *text
	}
	return n + m.unread.Load(), why
}

// splitWords splits at spaces, but not within quotes.
func splitWords(s string) ([]string, error) {
	var out []string
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return out, nil
		}
		if s[0] == '"' {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			if w := s[1 : 1+end]; w != "" {
				out = append(out, w)
			}
			s = s[end+2:]
			continue
		}
		w, rest, _ := strings.Cut(s, " ")
		out, s = append(out, w), rest
		if len(out) > maxWords {
			return nil, fmt.Errorf("more than %d words", maxWords)
		}
	}
}

const maxWords = 50

func unquote(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1], true
	}
	return s, false
}

// fold is a text to search for, ignoring case.
type fold struct {
	lower []byte
	ascii bool
}

func newFold(s string) fold {
	f := fold{lower: bytes.ToLower([]byte(s)), ascii: true}
	for _, c := range f.lower {
		f.ascii = f.ascii && c < utf8.RuneSelf
	}
	return f
}

func (f fold) anywhere(r Record) bool {
	if f.in(r.Key) || f.in(r.Value) {
		return true
	}
	for _, h := range r.Headers {
		if f.in([]byte(h.Key)) || f.in(h.Value) {
			return true
		}
	}
	return false
}

// in reports whether b contains the text. ASCII is compared without a copy of b; other texts are rare, so a copy is
// acceptable for them.
func (f fold) in(b []byte) bool {
	n := len(f.lower)
	if n == 0 {
		return true
	}
	if !f.ascii {
		return bytes.Contains(bytes.ToLower(b), f.lower)
	}
	low := f.lower[0]
	up := low
	if low >= 'a' && low <= 'z' {
		up -= 'a' - 'A'
	}
	for len(b) >= n {
		i := bytes.IndexByte(b, low)
		if up != low {
			limit := len(b)
			if i >= 0 {
				limit = i
			}
			if j := bytes.IndexByte(b[:limit], up); j >= 0 {
				i = j
			}
		}
		if i < 0 || len(b)-i < n {
			return false
		}
		if equalLower(b[i:i+n], f.lower) {
			return true
		}
		b = b[i+1:]
	}
	return false
}

// equalLower compares with a text in lower case, of the same length.
func equalLower(b, lower []byte) bool {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
