package porttest

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
)

// All test binaries use the same grid of blocks: several binaries run concurrently, and a process binds a port long
// after the test has selected it.
const (
	first = 12_000 // above the default ports of programs
	last  = 29_000 // below our ports for containers and below Linux's ports for outgoing connections
	Size  = 41     // ports in a block
)

// next is the position where Block continues its search: a process that is ending may still hold a port that was
// released.
var next atomic.Int64

// Block returns a base such that base+offset is free for all offsets; each offset is below Size. Until the test ends,
// no other test gets a port of the block, in this process or another: a UDP socket on the first port marks the block as
// used.
func Block(t testing.TB, offsets ...int) (base int) {
	t.Helper()
	const blocks = (last - first) / Size
	low, high := outgoing()
	for _, risky := range []bool{false, true} { // second pass: also the kernel's ports for outgoing connections
		for range blocks {
			base := first + int((int64(os.Getpid())*7+next.Add(1))%blocks)*Size
			if !risky && base+Size > low && base <= high {
				continue
			}
			claim, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", base))
			if err != nil {
				continue
			}
			if !free(base, offsets) {
				_ = claim.Close()
				continue
			}
			t.Cleanup(func() { _ = claim.Close() })
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

// Address is Block for a single port.
func Address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Block(t, 0))
}

func free(base int, offsets []int) bool {
	for _, o := range offsets {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+o))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// outgoing returns the range of ports that the kernel uses for outgoing connections and for port 0.
func outgoing() (low, high int) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if _, scan := fmt.Sscan(string(b), &low, &high); err != nil || scan != nil {
		return 49_152, 65_535 // RFC 6335 §6, the range of other systems
	}
	return low, high
}

// Refused returns an address that refuses connections until the test ends: its port is bound, so that no other process
// gets it, and no process listens on it.
func Refused(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}

// Serve listens on a free port of loopback until the test ends. It passes connections to handle, one after the other, and
// closes each afterwards.
func Serve(t testing.TB, handle func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			handle(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}
