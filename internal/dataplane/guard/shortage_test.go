package guard

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestOwnShortageIsToldFromThePeersFailures(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return fmt.Errorf("try: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)})
	}
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL} {
		if OwnShortage(dial(errno)) == "" {
			t.Errorf("%v is not taken for a shortage of our own", errno)
		}
	}
	for _, lookup := range []net.DNSError{
		{Err: "server misbehaving", IsTemporary: true},
		{Err: "i/o timeout", IsTimeout: true},
		{Err: "read udp: connection refused"},
	} {
		if got := OwnShortage(&net.OpError{Op: "dial", Net: "tcp", Err: &lookup}); got != NameServer {
			t.Errorf("%v: got %q", lookup, got)
		}
	}
	for _, err := range []error{nil, io.EOF, errors.New("x"), dial(syscall.ECONNREFUSED), dial(syscall.ECONNRESET), dial(syscall.ETIMEDOUT), dial(syscall.EHOSTUNREACH),
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true}},
	} {
		if what := OwnShortage(err); what != "" {
			t.Errorf("%v is taken for a shortage of %s", err, what)
		}
	}
}

func TestShortageEndsByItself(t *testing.T) {
	var s Shortage
	now := int64(time.Second)
	if s.Current(now) != "" {
		t.Error("a shortage before any")
	}
	if !s.Note("a", now) || s.Note("b", now+1) || s.Current(now+2) != "b" || s.Count() != 2 {
		t.Errorf("current %q, count %d", s.Current(now+2), s.Count())
	}
	later := now + int64(ShortageLasts) + 2
	if s.Current(later) != "" || !s.Note("a", later) {
		t.Error("it does not end")
	}
}
