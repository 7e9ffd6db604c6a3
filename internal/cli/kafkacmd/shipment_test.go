package kafkacmd

import (
	"context"
	"errors"
	"io"
	"testing"
)

// Ctrl-C ends a produce that waits for somebody to type.
func TestReadingIsInterrupted(t *testing.T) {
	terminal, types := io.Pipe()
	defer types.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	in, forget := interruptible(ctx, terminal)
	defer forget()
	var lines []string
	read := make(chan error)
	go func() {
		read <- eachLine(in, func(_ int, line []byte) error {
			lines = append(lines, string(line))
			interrupt()
			return nil
		})
	}()
	if _, err := types.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, context.Canceled) || len(lines) != 1 {
		t.Errorf("it ended with %v after %q", err, lines)
	}
}
