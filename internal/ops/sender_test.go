package ops

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A look for a stall that was about to begin when the sender was closed must
// not arm the next one: it would go on for as long as the process.
func TestAClosedSenderLooksForNoStall(t *testing.T) {
	client, err := kgo.NewClient() // nobody to dial
	if err != nil {
		t.Fatal(err)
	}
	s := &Sender{client: client, patience: time.Hour, cut: func() {}, given: make(chan struct{}), over: make(chan struct{})}
	s.stall = time.AfterFunc(s.patience, s.stalled)
	if _, err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stalled()
	if s.stall.Stop() {
		t.Error("it looks on")
	}
}
