package action

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Headers are compiled edits of a head: the fields that are removed, then those that are appended. A nil *Headers edits
// nothing.
type Headers struct {
	drop []string // names in lower case: removed, also because they are set
	puts []put
}

type put struct {
	name, lower string
	value       Template
}

// Edit is the edit of one header.
type Edit struct {
	Name  string
	Value string // a template
	Keep  bool   // keep the fields with this name that are there

	origin bool // the value is the origin that CORS allows
	claim  int  // the value is that claim of the token, counted from 1; 0: none
}

// NewHeaders compiles edits. Values are appended in the given order. It reports the first mistake.
func NewHeaders(edits []Edit, remove []string) (*Headers, error) {
	if len(edits)+len(remove) == 0 {
		return nil, nil
	}
	h := &Headers{}
	for _, name := range remove {
		if err := CheckName(name); err != nil {
			return nil, err
		}
		h.drop = append(h.drop, strings.ToLower(name))
	}
	for _, e := range edits {
		if err := CheckName(e.Name); err != nil {
			return nil, err
		}
		value, err := CheckValue(e.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		if !e.Keep {
			h.drop = append(h.drop, strings.ToLower(e.Name))
		}
		if e.origin {
			value = Template{parts: []part{{variable: allowedOrigin}}}
		}
		if e.claim > 0 {
			value = Template{parts: []part{{variable: tokenClaim, claim: e.claim - 1}}}
		}
		h.puts = append(h.puts, put{e.Name, strings.ToLower(e.Name), value})
	}
	return h, nil
}

// MaxName and MaxValue limit a header that a route writes, in bytes.
const (
	MaxName  = 100
	MaxValue = 4096
)

// CheckName returns an error for a header that a route must not edit: one that is not valid, one that frames or routes a
// message, or one that the proxy writes itself.
func CheckName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "":
		return errors.New("the name of a header is missing")
	case len(name) > MaxName:
		return fmt.Errorf("the name of a header has more than %d bytes", MaxName)
	case !h1.IsToken(name):
		return fmt.Errorf("%q: the name of a header has no such character", name)
	case lower == "host":
		return fmt.Errorf("%s: use rewrite.host", name)
	case strings.HasPrefix(lower, "grpc-"), strings.HasPrefix(lower, "sec-websocket-"), !h1.Editable(name):
		return fmt.Errorf("%s: smartlb reads or writes this header itself, so a route cannot change it", name)
	}
	return nil
}

// CheckValue parses the value of a header.
func CheckValue(value string) (Template, error) {
	if len(value) > MaxValue {
		return Template{}, fmt.Errorf("the value has %d bytes, at most %d are possible", len(value), MaxValue)
	}
	t, err := ParseTemplate(value)
	if err != nil {
		return t, err
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || strings.Trim(value, " \t") != value {
		return t, fmt.Errorf("%q: a value has neither line ends nor other control characters, and no blanks around it", value)
	}
	return t, nil
}

// Dropped returns the names in lower case of the fields to remove.
func (h *Headers) Dropped() []string {
	if h == nil {
		return nil
	}
	return h.drop
}

// Drops reports whether fields with that name, in lower case, are removed.
func (h *Headers) Drops(name string) bool { return h != nil && slices.Contains(h.drop, name) }

// Puts reports whether the edits write a field with that name, in lower case.
func (h *Headers) Puts(name string) bool {
	return h != nil && slices.ContainsFunc(h.puts, func(p put) bool { return p.lower == name })
}

// Len returns the number of fields to append.
func (h *Headers) Len() int {
	if h == nil {
		return 0
	}
	return len(h.puts)
}

// Name returns the name of field i, as it was written and in lower case.
func (h *Headers) Name(i int) (name, lower string) { return h.puts[i].name, h.puts[i].lower }

// AppendValue appends the value of field i. A field whose value is empty is not sent.
func (h *Headers) AppendValue(i int, dst []byte, v *Values) []byte {
	return h.puts[i].value.Append(dst, v)
}

// AppendLine appends field i as a line of HTTP/1.1, or nothing if its value is empty.
func (h *Headers) AppendLine(i int, dst []byte, v *Values) []byte {
	start := len(dst)
	dst = append(append(dst, h.puts[i].name...), ": "...)
	at := len(dst)
	if dst = h.AppendValue(i, dst, v); len(dst) == at {
		return dst[:start]
	}
	return append(dst, "\r\n"...)
}
