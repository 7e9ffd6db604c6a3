package mask

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Rule says what is hidden in the messages of some topics.
type Rule struct {
	Topics  []string // names, with * for any text and ? for any character
	Fields  []string // of JSON values, in any case: user.email, users.*.phone; lists are gone through
	Headers []string // by name, in any case
	Key     bool
}

// Hidden is what stands in the place of what is hidden.
const Hidden = "***"

// Check reports every mistake of a rule, each with its place.
func (r Rule) Check() error {
	var errs []error
	if len(r.Topics) == 0 {
		errs = append(errs, errors.New("topics: missing: want names or patterns like user-*"))
	}
	for i, t := range r.Topics {
		if _, err := path.Match(t, "x"); err != nil {
			errs = append(errs, fmt.Errorf("topics[%d]: %q is no pattern", i, t))
		}
	}
	if len(r.Fields) == 0 && len(r.Headers) == 0 && !r.Key {
		errs = append(errs, errors.New("fields: nothing is hidden: want fields, headers or key"))
	}
	for i, f := range r.Fields {
		if slices.Contains(split(f), "") {
			errs = append(errs, fmt.Errorf("fields[%d]: %q is no path: want names with dots between them, * for any", i, f))
		}
	}
	return errors.Join(errs...)
}

func split(field string) []string { return strings.Split(strings.TrimPrefix(field, "$."), ".") }

// Rules are all that hold. The zero value hides nothing. They are immutable.
type Rules []Rule

// Of gives what is hidden in one topic; ok is false where that is nothing.
func (r Rules) Of(topic string) (t Topic, ok bool) {
	for _, rule := range r {
		applies := slices.ContainsFunc(rule.Topics, func(p string) bool { yes, _ := path.Match(p, topic); return yes })
		if !applies {
			continue
		}
		ok = true
		t.key = t.key || rule.Key
		t.headers = append(t.headers, rule.Headers...)
		for _, f := range rule.Fields {
			t.fields = append(t.fields, split(f))
		}
	}
	return t, ok
}

// Topic is what is hidden in the messages of one topic.
type Topic struct {
	key     bool
	headers []string
	fields  [][]string
}

// Key gives a key as it may be shown; nil stays nil.
func (t Topic) Key(key []byte) []byte {
	if t.key && key != nil {
		return []byte(Hidden)
	}
	return key
}

// Header gives a header's value as it may be shown.
func (t Topic) Header(name string, value []byte) []byte {
	if value != nil && slices.ContainsFunc(t.headers, func(h string) bool { return sameName(h, name) }) {
		return []byte(Hidden)
	}
	return value
}

// sameName compares a name of a rule with one of a message: authorization also
// hides Authorization and AUTHORIZATION, because programs that read headers and
// fields do not tell them apart.
func sameName(rule, name string) bool {
	return strings.EqualFold(strings.TrimSpace(rule), strings.TrimSpace(name))
}

// Value gives a value as it may be shown. The text around hidden fields stays
// as it is. What is not JSON is hidden whole where fields are to be: nobody can
// tell where in it they are.
func (t Topic) Value(value []byte) []byte {
	if len(t.fields) == 0 || len(value) == 0 {
		return value
	}
	w := walker{src: value, dec: json.NewDecoder(bytes.NewReader(value))}
	if err := w.value(t.fields, 0); err != nil || w.more() {
		return []byte(`"` + Hidden + `"`)
	}
	if w.copied == 0 {
		return value
	}
	return append(w.out, value[w.copied:]...)
}

// maxDepth is how deep a value may be nested; deeper ones are hidden whole.
const maxDepth = 1000

// walker copies a value and leaves out what is hidden.
type walker struct {
	src    []byte
	dec    *json.Decoder
	out    []byte
	copied int // bytes of src that are in out or were left out
}

// value goes through the next value. fields are the paths that it is on, with
// what is left of each.
func (w *walker) value(fields [][]string, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	if slices.ContainsFunc(fields, func(f []string) bool { return len(f) == 0 }) {
		return w.hide()
	}
	if len(fields) == 0 {
		var skip json.RawMessage
		return w.dec.Decode(&skip)
	}
	tok, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('{'):
		for w.dec.More() {
			name, err := w.dec.Token()
			if err != nil {
				return err
			}
			if err := w.value(within(fields, name.(string)), depth+1); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for w.dec.More() {
			if err := w.value(fields, depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = w.dec.Token() // the closing one
	return err
}

// hide leaves out the next value. The decoder stands behind a name, before the
// colon, or behind what came before in a list.
func (w *walker) hide() error {
	start := int(w.dec.InputOffset())
	for start < len(w.src) && strings.IndexByte(" \t\r\n:,", w.src[start]) >= 0 {
		start++
	}
	var skip json.RawMessage
	if err := w.dec.Decode(&skip); err != nil {
		return err
	}
	if string(skip) == "null" {
		return nil // that there is nothing is no secret
	}
	w.out = append(append(w.out, w.src[w.copied:start]...), `"`+Hidden+`"`...)
	w.copied = int(w.dec.InputOffset())
	return nil
}

// more reports whether something stands behind the value.
func (w *walker) more() bool {
	return len(bytes.Trim(w.src[w.dec.InputOffset():], " \t\r\n")) > 0
}

// within gives the paths that lead into a field, with what is left of them.
func within(fields [][]string, name string) (out [][]string) {
	for _, f := range fields {
		if f[0] == "*" || sameName(f[0], name) {
			out = append(out, f[1:])
		}
	}
	return out
}
