package action

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// ProvenEdits returns the edits that write Values.Proven[i] to header names[i]: claims of the token, then headers of the answer
// of the authentication service. Fields with these names that a client sends are removed.
func ProvenEdits(names []string) []Edit {
	edits := make([]Edit, len(names))
	for i, name := range names {
		edits[i] = Edit{Name: name, proven: i + 1}
	}
	return edits
}

// With returns the edits of h, and those that write the fields of an answer. Set-Cookie is added to the cookies of the response,
// another field replaces those with its name. What h removes or sets is not taken from the answer.
func (h *Headers) With(answer *Headers) *Headers {
	out := &Headers{drop: slices.Clone(h.Dropped())}
	for _, p := range answer.puts {
		if h.Drops(p.lower) {
			continue
		}
		if p.lower != "set-cookie" && !out.Drops(p.lower) {
			out.drop = append(out.drop, p.lower)
		}
		out.puts = append(out.puts, p)
	}
	if h != nil {
		out.puts = append(out.puts, h.puts...)
	}
	return out
}

// Fields returns the fields of an answer that cross a proxy, with their values as they are. Values with control characters are
// left out.
func Fields(of http.Header) *Headers {
	h, named := &Headers{}, strings.ToLower(strings.Join(of["Connection"], ","))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		lower := strings.ToLower(name)
		if !h1.IsToken(name) || !h1.Editable(name) || slices.ContainsFunc(strings.Split(named, ","), func(n string) bool { return strings.TrimSpace(n) == lower }) {
			continue
		}
		for _, value := range of[name] {
			if hasControl([]byte(value)) {
				continue
			}
			h.puts = append(h.puts, put{name, lower, Template{parts: []part{{text: value}}}})
		}
	}
	return h
}
