package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
)

// stream writes server-sent events (WHATWG HTML §9.2). Each write has its own deadline, so that a client that stops
// reading does not block the handler.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

const streamWrite = 5 * time.Second

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, rc: http.NewResponseController(w)}
}

func (s *stream) send(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := s.rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", name, readable.JSON(data)); err != nil {
		return err
	}
	return s.rc.Flush()
}
