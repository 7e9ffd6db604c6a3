package serve

import (
	"errors"
	"testing"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
)

func TestTheExitCodeTellsThatRequestsWereCut(t *testing.T) {
	failed := errors.New("failed")
	for _, c := range []struct {
		why  string
		err  error
		code int
	}{
		{"a clean stop", ended(nil, nil), cli.ExitOK},
		{"a stop that cut requests", ended(app.ErrCut, nil), cli.ExitCut},
		{"a failure", ended(failed, nil), cli.ExitFailed},
		{"a failure beside cut requests", ended(app.ErrCut, failed), cli.ExitFailed},
	} {
		if got := cli.Code(c.err); got != c.code {
			t.Errorf("%s: exit code %d, want %d", c.why, got, c.code)
		}
	}
}
