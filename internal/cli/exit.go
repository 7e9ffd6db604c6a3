package cli

import (
	"context"
	"errors"
	"fmt"
)

// Exit codes. They are part of the public interface.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2   // the command line is wrong
	ExitDrift       = 3   // with --exit-code: there is a difference
	ExitCut         = 4   // up, run, proxy: the drain time of a stop ended and requests were cut
	ExitUnhealthy   = 10  // status, health: a required service is down
	ExitInterrupted = 130 // Ctrl-C before the work was complete
)

// codeError carries an exit code.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// ErrUnhealthy ends a verb with ExitUnhealthy. The verb's result is printed and describes the problem.
var ErrUnhealthy error = &codeError{ExitUnhealthy, errors.New("unhealthy")}

// ErrDrift ends a verb with ExitDrift. The verb's result is printed.
var ErrDrift error = &codeError{ExitDrift, errors.New("differs")}

// ErrFailed ends a verb with ExitFailed. The verb's result is printed and describes the failure.
var ErrFailed error = &codeError{ExitFailed, errors.New("failed")}

// ErrCut ends a verb with ExitCut. The log says what was cut.
var ErrCut error = &codeError{ExitCut, errors.New("requests were cut")}

// verdict reports whether the printed result or the log already describes an error.
func verdict(err error) bool {
	return errors.Is(err, ErrUnhealthy) || errors.Is(err, ErrDrift) || errors.Is(err, ErrFailed) || errors.Is(err, ErrCut)
}

// Usagef returns an error about a wrong command line.
func Usagef(format string, args ...any) error {
	return &codeError{ExitUsage, fmt.Errorf(format, args...)}
}

// Code returns the exit code for an error of Execute.
func Code(err error) int {
	var e *codeError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	default:
		return ExitFailed
	}
}

// speaks reports whether an error needs a line on stderr. Verdicts need none, because they are described already. Ctrl-C
// needs none, because the user pressed it.
func speaks(err error) bool {
	return err != nil && !verdict(err) && Code(err) != ExitInterrupted
}
