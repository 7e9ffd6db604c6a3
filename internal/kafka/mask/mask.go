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

// Rule defines what to hide in the messages of some topics.
type Rule struct {
	Topics  []string // names, with * for any text and ? for any character
	Fields  []string // of JSON values, ignoring case: user.email, users.*.phone; a path applies to every element of a list
	Headers []string // names, ignoring case
	Key     bool
}

// Hidden replaces hidden content.
const Hidden = "***"

// Check reports every mistake of a rule, each with its path.
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

// Rules are all rules. The zero value hides nothing. They are immutable.
type Rules []Rule

// Of returns what to hide in one topic; ok is false if nothing.
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

// Topic defines what to hide in the messages of one topic.
type Topic struct {
	key     bool
	headers []string
	fields  [][]string
}

// Key returns the masked key; nil stays nil.
func (t Topic) Key(key []byte) []byte {
	if t.key && key != nil {
		return []byte(Hidden)
	}
	return key
}

// Header returns the masked value of a header.
func (t Topic) Header(name string, value []byte) []byte {
	if value != nil && slices.ContainsFunc(t.headers, func(h string) bool { return sameName(h, name) }) {
		return []byte(Hidden)
	}
	return value
}

// sameName compares a name in a rule with a name in a message. authorization also hides Authorization and
// AUTHORIZATION, because programs that read headers and fields treat them as equal.
func sameName(rule, name string) bool {
	return strings.EqualFold(strings.TrimSpace(rule), strings.TrimSpace(name))
}

// Value returns the masked value. The text around hidden fields stays as it is. A value that is not JSON is hidden
// completely if there are fields to hide, because their positions are unknown.
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

// maxDepth is the deepest nesting of a value; values with deeper nesting are hidden completely.
const maxDepth = 1000

// walker copies a value without its hidden parts.
type walker struct {
	src    []byte
	dec    *json.Decoder
	out    []byte
	copied int // bytes of src that were copied to out or left out
}

// value processes the next value. fields are the paths that lead to it, each with its remaining part.
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
	_, err = w.dec.Token() // the closing bracket
	return err
}

// hide leaves out the next value. The decoder is after a name, before the colon, or after the previous element of a
// list.
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
		return nil // null is not secret
	}
	w.out = append(append(w.out, w.src[w.copied:start]...), `"`+Hidden+`"`...)
	w.copied = int(w.dec.InputOffset())
	return nil
}

// more reports whether the value is followed by more content.
func (w *walker) more() bool {
	return len(bytes.Trim(w.src[w.dec.InputOffset():], " \t\r\n")) > 0
}

// within returns the paths that lead into a field, each with its remaining part.
func within(fields [][]string, name string) (out [][]string) {
	for _, f := range fields {
		if f[0] == "*" || sameName(f[0], name) {
			out = append(out, f[1:])
		}
	}
	return out
}
