package probe

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// maxMatch is the number of bytes of a response body that are compared with an Expect.
const maxMatch = 32 << 10

// Expect says which responses to an http check are successes. Its zero value expects a status from 200 to 299.
type Expect struct {
	Statuses upstream.StatusSet // accepted statuses; none: 200 to 299
	Text     string             // that the body must contain; empty: any body
	Regex    string             // RE2, that must match a part of the body; empty: any body. It must compile
}

// expectation is an Expect with its expression compiled.
type expectation struct {
	Expect
	regex *regexp.Regexp
}

func newExpectation(e Expect) expectation {
	if e.Statuses == (upstream.StatusSet{}) {
		e.Statuses.Add(200, 299)
	}
	out := expectation{Expect: e}
	if e.Regex != "" {
		out.regex = regexp.MustCompile(e.Regex)
	}
	return out
}

// bytes returns how many bytes of a body decide.
func (e *expectation) bytes() int64 {
	if e.Text == "" && e.regex == nil {
		return maxBody
	}
	return maxMatch
}

// judge reports whether a response is a success. If its body is the reason that it is none, reason says so. body has the
// first bytes of the response.
func (e *expectation) judge(status int, body []byte) (ok bool, reason string) {
	switch {
	case !e.Statuses.Has(status):
		return false, ""
	case e.Text != "" && !bytes.Contains(body, []byte(e.Text)), e.regex != nil && !e.regex.Match(body):
		if len(body) == maxMatch {
			return false, fmt.Sprintf("no match in the first %d bytes of the body", maxMatch)
		}
		return false, "the body does not match"
	}
	return true, ""
}
