package api

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// tailRate is how many messages per second a live tail shows; the rest is
// counted and said, so that a busy topic hurts neither page nor broker.
const tailRate = 200

// topicEvents sends new messages as they come, in batches four times a second.
func (s *Server) topicEvents(w http.ResponseWriter, r *http.Request) {
	if s.src.Tail == nil {
		s.fail(w, http.StatusNotFound, Problem{Error: "this node runs without Kafka"})
		return
	}
	last, _ := strconv.Atoi(r.URL.Query().Get("last"))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	batches := make(chan []Message, 16)
	done := make(chan error, 1)
	go func() {
		done <- s.src.Tail(ctx, r.PathValue("topic"), min(max(last, 0), 500), func(b []Message) {
			select {
			case batches <- b:
			case <-ctx.Done():
			}
		})
	}()
	defer func() { cancel(); drain(batches, done) }()
	sendTail(ctx, newStream(w), batches, done)
}

func drain(batches chan []Message, done chan error) {
	for {
		select {
		case <-batches:
		case <-done:
			return
		}
	}
}

func sendTail(ctx context.Context, stream *stream, batches chan []Message, done chan error) {
	ticker := time.NewTicker(time.Second / 4)
	defer ticker.Stop()
	var pending []Message
	skipped, ticks := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-done:
			done <- err
			if err != nil {
				_ = stream.send("problem", Problem{Error: err.Error()})
			}
			return
		case b := <-batches:
			pending = append(pending, b...)
			if extra := len(pending) - tailRate/4; extra > 0 {
				skipped += extra
				pending = append(pending[:0], pending[extra:]...)
			}
		case <-ticker.C:
			ticks++
			if len(pending) == 0 && ticks%20 != 0 { // every 5 s something, so that a dead peer is noticed
				continue
			}
			if stream.send("messages", map[string]any{"messages": nonNil(pending), "skipped": skipped}) != nil {
				return
			}
			pending, skipped = nil, 0
		}
	}
}
