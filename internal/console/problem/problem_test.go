package problem_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/smartlb/smartlb/internal/console/problem"
)

func TestTheOutermostCodeCounts(t *testing.T) {
	inner := problem.Errorf(problem.NotFound, "there is no instance %q", "z")
	outer := problem.New(problem.Unavailable, fmt.Errorf("node lb-2: %w", inner), "")
	for err, want := range map[error]problem.Code{
		inner: problem.NotFound, outer: problem.Unavailable, fmt.Errorf("explain: %w", inner): problem.NotFound, errors.New("disk"): "", nil: "",
	} {
		if got := problem.CodeOf(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if got, want := outer.Error(), `node lb-2: there is no instance "z"`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestACodeOfAStatusHasThatStatus(t *testing.T) {
	for _, c := range problem.Codes() {
		if got := problem.OfStatus(c.Status()).Status(); got != c.Status() {
			t.Errorf("%s: %d becomes %d", c, c.Status(), got)
		}
	}
	for status, want := range map[int]problem.Code{403: problem.Forbidden, 404: problem.NotFound, 418: problem.Invalid, 502: problem.Unavailable, 503: problem.Unavailable, 307: problem.Unavailable} {
		if got := problem.OfStatus(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
	if got := problem.Code("brand-new").Status(); got != 500 {
		t.Errorf("an unknown code has the status %d", got)
	}
}
