package kafkacmd

import (
	"os"
	"testing"
)

// `consume -f TOPIC | head -1` ends though no second record ever comes.
func TestAClosedPipeEndsWhoFollows(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, stop := untilPipeClosed(t.Context(), w)
	defer stop()
	if unread(w) {
		t.Error("a pipe that is open counts as closed")
	}
	r.Close()
	<-ctx.Done()
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if unread(file) {
		t.Error("a file counts as a closed pipe")
	}
}
