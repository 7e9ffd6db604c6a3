//go:build !unix

package proxy

import "syscall"

const canPeek = false

// peeker does nothing: this system offers no way to look at received bytes.
type peeker struct{}

func newPeeker(syscall.Conn) (peeker, error) { return peeker{}, nil }

func (peeker) readable() bool { return true }

func (peeker) peek() peeked { return peekUnknown }
