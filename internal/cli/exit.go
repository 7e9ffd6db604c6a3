package cli

import (
	"context"
	"errors"
	"fmt"
)

// Exit codes. They are part of the interface.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2   // the command line itself is wrong
	ExitDrift       = 3   // asked for with --exit-code: something is not as desired
	ExitUnhealthy   = 10  // status, health: a required service is down
	ExitInterrupted = 130 // Ctrl-C before the work was done
)

// codeError carries an exit code.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// ErrUnhealthy ends a verb with ExitUnhealthy. Its result is printed all the
// same, and says what is wrong.
var ErrUnhealthy error = &codeError{ExitUnhealthy, errors.New("unhealthy")}

// ErrDrift ends a verb with ExitDrift. Its result is printed all the same.
var ErrDrift error = &codeError{ExitDrift, errors.New("differs")}

// ErrFailed ends a verb with ExitFailed. Its result is printed all the same, and
// says what failed.
var ErrFailed error = &codeError{ExitFailed, errors.New("failed")}

// verdict reports whether an error stands for what the printed result says.
func verdict(err error) bool {
	return errors.Is(err, ErrUnhealthy) || errors.Is(err, ErrDrift) || errors.Is(err, ErrFailed)
}

// Usagef is an error of whoever typed the command.
func Usagef(format string, args ...any) error {
	return &codeError{ExitUsage, fmt.Errorf(format, args...)}
}

// Code is the exit code for an error of Execute.
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

// speaks reports whether an error is worth a line on stderr. The result of
// verdicts was printed, and who pressed Ctrl-C knows.
func speaks(err error) bool {
	return err != nil && !verdict(err) && Code(err) != ExitInterrupted
}
