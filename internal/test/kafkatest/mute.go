package kafkatest

import (
	"net"
	"testing"
)

// Mute listens like a broker that hangs: it accepts connections and never responds. asked receives a token for each
// connection with a request.
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
			defer c.Close() // on purpose: closes all connections at the end
			if _, err := c.Read(make([]byte, 1)); err != nil {
				continue
			}
			select {
			case questions <- struct{}{}:
			default: // no test counts that many
			}
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String(), questions
}
