package accesslog

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the formats.
const (
	JSON     = "json"
	Combined = "combined"
	Common   = "common"
)

// The combined and the common log format as templates.
const (
	commonTemplate   = `${client} - ${user} [${commonTime}] "${request}" ${status} ${bytesOut}`
	combinedTemplate = commonTemplate + ` "${referer}" "${userAgent}"`
)

// maxTemplate is the limit of a template in bytes.
const maxTemplate = 4096

// Format writes lines. It is immutable.
type Format struct {
	standard bool // JSON with the standard fields
	json     bool
	parts    []part
	message  bool   // texts that the exchange does not have are absent
	node     string // of a message, as JSON
}

// part is a field with its key in JSON, or a literal.
type part struct {
	field field
	text  string
}

// Standard returns JSON with the standard fields.
func Standard() *Format { return &Format{standard: true} }

// Chosen returns JSON with the given fields, in their order.
func Chosen(keys []string) (*Format, error) {
	f := &Format{json: true}
	for i, key := range keys {
		at := slices.IndexFunc(names[1:], func(n struct{ key, variable string }) bool { return n.key == key })
		switch {
		case at < 0:
			return nil, fmt.Errorf("unknown field %q, want one of %s", key, strings.Join(Fields(), ", "))
		case slices.Contains(keys[:i], key):
			return nil, fmt.Errorf("field %s is given twice", key)
		}
		f.parts = append(f.parts, part{field(at + 1), `"` + key + `":`})
	}
	return f, nil
}

// Messages returns the format of the messages of a node on topic access-logs (event.AccessLog).
func Messages(node string) *Format {
	f := &Format{json: true, message: true, node: string(appendText([]byte(`"node":`), node, asJSON)) + ","}
	for i := timeOf; i <= lastStandard; i++ {
		key := names[i].variable
		switch i {
		case timeOf:
			key = "timestamp"
		case service, instance:
			key += "Id"
		}
		f.parts = append(f.parts, part{i, `"` + key + `":`})
	}
	return f
}

// Fields returns the names of all fields of JSON.
func Fields() []string { return list(func(f field) string { return names[f].key }) }

// Variables returns the names of all variables of a template.
func Variables() []string { return list(func(f field) string { return names[f].variable }) }

func list(name func(field) string) (all []string) {
	for f := timeOf; f < fields; f++ {
		all = append(all, name(f))
	}
	return all
}

// Parse returns the format with a name, or that of a template. In a template, "${NAME}" is a variable and "$${" stands
// for "${".
func Parse(s string) (*Format, error) {
	switch s {
	case JSON, "":
		return Standard(), nil
	case Combined:
		s = combinedTemplate
	case Common:
		s = commonTemplate
	}
	if len(s) > maxTemplate {
		return nil, fmt.Errorf("the template has %d bytes, at most %d are possible", len(s), maxTemplate)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return nil, fmt.Errorf("a template cannot have line breaks and other control characters, except tabs")
	}
	f, err := parseTemplate(s)
	if err == nil && !slices.ContainsFunc(f.parts, func(p part) bool { return p.field != literal }) {
		err = fmt.Errorf("%q has no variable: want json, combined or common, or a template with variables such as ${client}", s)
	}
	return f, err
}

func parseTemplate(s string) (*Format, error) {
	f := &Format{}
	for {
		at := strings.Index(s, "${")
		if at < 0 {
			f.literal(s)
			return f, nil
		}
		if at > 0 && s[at-1] == '$' {
			f.literal(s[:at-1] + "${")
			s = s[at+2:]
			continue
		}
		name, rest, closed := strings.Cut(s[at+2:], "}")
		if !closed {
			return nil, fmt.Errorf("the variable ${%s has no closing brace; write $${ for the characters ${", name)
		}
		v := slices.Index(Variables(), name)
		if v < 0 {
			return nil, fmt.Errorf("there is no variable ${%s}; variables: %s", name, strings.Join(Variables(), ", "))
		}
		f.literal(s[:at])
		f.parts = append(f.parts, part{field: field(v + 1)})
		s = rest
	}
}

func (f *Format) literal(s string) {
	if s != "" {
		f.parts = append(f.parts, part{text: s})
	}
}

// Headers reports whether lines have values of the headers Referer or User-Agent.
func (f *Format) Headers() bool {
	return slices.ContainsFunc(f.parts, func(p part) bool { return p.field == referer || p.field == userAgent })
}

// Append appends the line of e, with a line break at its end.
func (f *Format) Append(b []byte, e *Entry) []byte {
	if f.standard {
		return appendStandard(b, e)
	}
	if !f.json {
		for i := range f.parts {
			if p := &f.parts[i]; p.field == literal {
				b = append(b, p.text...)
			} else {
				b = e.append(b, p.field, asText)
			}
		}
		return append(b, '\n')
	}
	b = append(b, '{')
	b = append(b, f.node...)
	for i := range f.parts {
		p := &f.parts[i]
		if e.absent(p.field) || f.message && p.field == durationMs && !e.Dispatched {
			continue
		}
		start := len(b)
		b = append(b, p.text...)
		value := len(b)
		b = e.append(b, p.field, asJSON)
		if f.message && string(b[value:]) == `""` {
			b = b[:start]
			continue
		}
		b = append(b, ',')
	}
	if last := len(b) - 1; b[last] == ',' {
		b[last] = '}'
	} else { // every chosen field is absent
		b = append(b, '}')
	}
	return append(b, '\n')
}
