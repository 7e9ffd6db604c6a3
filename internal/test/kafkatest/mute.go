package kafkatest

import (
	"net"
	"testing"
)

// Mute listens as a broker that hangs does: it takes connections and never
// answers. asked gets a token for each connection on which something was asked.
func Mute(t testing.TB) (addr string, asked <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	questions, ended := make(chan struct{}, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() // all of them at the end
			if _, err := c.Read(make([]byte, 1)); err != nil {
				continue
			}
			select {
			case questions <- struct{}{}:
			default: // nobody counts that far
			}
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String(), questions
}
