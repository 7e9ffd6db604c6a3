package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// InUse turns an error of listening on a port that is taken into one that
// names the port, the process that has it where that can be read, and the flag
// that chooses another. Other errors are returned as they are.
func InUse(err error, flag string) error {
	var op *net.OpError
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) || op.Addr == nil {
		return err
	}
	who := ""
	if _, text, splitErr := net.SplitHostPort(op.Addr.String()); splitErr == nil {
		if port, convErr := strconv.Atoi(text); convErr == nil {
			if pid, name, ok := PortOwner(port); ok {
				who = fmt.Sprintf(" by process %d (%s)", pid, name)
			}
		}
	}
	return fmt.Errorf("%s is in use%s, %s chooses another address: %w", op.Addr, who, flag, err)
}
