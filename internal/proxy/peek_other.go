//go:build !unix

package proxy

import "net"

const canPeek = false

func peek(*net.TCPConn) peeked { return peekUnknown }
