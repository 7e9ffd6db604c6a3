package action

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Path makes a path from the path of a request. Each of its three kinds leaves the query as it is.
type Path struct {
	whole   string         // replaces the whole path
	prefix  int            // bytes of the matched prefix in the routed spelling, without its last slash; -1: another kind
	to      string         // replaces the prefix, without its last slash
	pattern *regexp.Regexp // must match the whole path, in the routed spelling
	pieces  []piece        // replaces what pattern matches
}

// piece is a literal, or a group of the pattern.
type piece struct {
	text  string
	group int // -1: a literal
}

// MaxPath limits a path that a route makes, in bytes.
const MaxPath = 16 << 10

// NewWholePath returns a Path that is always path.
func NewWholePath(path string) (*Path, error) {
	p, err := literalPath(path)
	return &Path{whole: p, prefix: -1}, err
}

// NewPrefixPath returns a Path that replaces the prefix of a route by to, as replacePrefixMatch of the Kubernetes Gateway
// API does: a slash at the end of either makes no difference.
func NewPrefixPath(prefix, to string) (*Path, error) {
	routed, bad := h1.RoutePath(prefix)
	if bad != nil {
		return nil, fmt.Errorf("%q: %s", prefix, bad.Reason)
	}
	p, err := literalPath(to)
	return &Path{prefix: len(strings.TrimRight(routed, "/")), to: strings.TrimRight(p, "/")}, err
}

func literalPath(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("%q: must start with /", path)
	}
	if at := strings.IndexAny(path, "?#"); at >= 0 {
		return "", fmt.Errorf("%q: a path ends before %q", path, path[at])
	}
	p, bad := h1.LiteralPath(path)
	if bad != nil {
		return "", fmt.Errorf("%q: %s", path, bad.Reason)
	}
	return p, nil
}

// NewRegexPath returns a Path that is replace where pattern (RE2) matches the whole path, and the path of the request
// elsewhere. "$1" or "${1}" in replace stands for the first group, "$$" for a dollar sign.
func NewRegexPath(pattern, replace string) (*Path, error) {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, err
	}
	pieces, err := parsePieces(replace, re.NumSubexp())
	if err != nil {
		return nil, err
	}
	return &Path{prefix: -1, pattern: re, pieces: pieces}, nil
}

var errDollar = errors.New("after $ comes the number of a group, such as $1 or ${12}, or another $")

func parsePieces(s string, groups int) (out []piece, _ error) {
	if !strings.HasPrefix(s, "/") {
		return nil, fmt.Errorf("%q: must start with /", s)
	}
	text := ""
	for s != "" {
		if s[0] != '$' {
			text, s = text+s[:1], s[1:]
			continue
		}
		if strings.HasPrefix(s, "$$") {
			text, s = text+"$", s[2:]
			continue
		}
		digits, rest, err := groupNumber(s[1:])
		if err != nil {
			return nil, err
		}
		n := 0
		for _, d := range digits {
			n = min(n*10+int(d-'0'), 1000)
		}
		if n > groups {
			return nil, fmt.Errorf("$%s: the expression has %d groups", digits, groups)
		}
		if text != "" {
			out = append(out, piece{text, -1})
		}
		out, text, s = append(out, piece{group: n}), "", rest
	}
	if text != "" {
		out = append(out, piece{text, -1})
	}
	for _, p := range out {
		if !h1.IsPathText(p.text) {
			return nil, fmt.Errorf("%q: this is no part of a path: write other characters as escapes such as %%20", p.text)
		}
	}
	return out, nil
}

// groupNumber splits the number of a group from what follows it: one digit, or digits in braces.
func groupNumber(s string) (digits, rest string, _ error) {
	if inner, after, ok := strings.Cut(strings.TrimPrefix(s, "{"), "}"); ok && strings.HasPrefix(s, "{") {
		digits, rest = inner, after
	} else if s != "" {
		digits, rest = s[:1], s[1:]
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", "", errDollar
	}
	return digits, rest, nil
}

// Append appends the path that is made from a request, whose path is given in both spellings (see h1.Request). It returns
// false if the result would climb above the root, could be read in two ways, or is longer than MaxPath.
func (p *Path) Append(dst, routed, forward []byte) ([]byte, bool) {
	switch {
	case len(forward) == 0 || forward[0] != '/': // OPTIONS *
		return append(dst, forward...), true
	case p.pattern != nil:
		return p.appendRegex(dst, routed, forward)
	case p.prefix < 0:
		return append(dst, p.whole...), true
	}
	start := len(dst)
	dst = append(append(dst, p.to...), afterPrefix(forward, p.prefix)...)
	if len(dst) == start || dst[start] != '/' {
		dst = append(dst, '/')
	}
	return dst, len(dst)-start <= MaxPath
}

// afterPrefix returns what follows the first n bytes of the routed spelling. In the forwarded spelling an unreserved
// character may be written as an escape.
func afterPrefix(forward []byte, n int) []byte {
	for n > 0 && len(forward) > 0 {
		used, counts := h1.PathUnit(forward)
		forward, n = forward[used:], n-counts
	}
	return forward
}

func (p *Path) appendRegex(dst, routed, forward []byte) ([]byte, bool) {
	at := p.pattern.FindSubmatchIndex(routed)
	if at == nil {
		return append(dst, forward...), true
	}
	start := len(dst)
	for _, one := range p.pieces {
		text := []byte(nil)
		if one.group < 0 {
			dst = append(dst, one.text...)
		} else if from := at[2*one.group]; from >= 0 {
			text = routed[from:at[2*one.group+1]]
		}
		dst = append(dst, text...)
		if len(dst)-start > MaxPath {
			return dst[:start], false
		}
	}
	clean, bad := h1.CleanPath(dst[start:])
	if bad != nil {
		return dst[:start], false
	}
	if !bytes.Equal(clean, dst[start:]) {
		dst = append(dst[:start], clean...)
	}
	return dst, true
}
