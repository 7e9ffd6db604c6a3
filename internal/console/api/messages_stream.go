package api

import (
	"net/http"

	"github.com/smartlb/smartlb/internal/console/browse"
)

// searchEvents writes the results of a search. The stream begins with the first event; an error before that event gets
// a normal error response.
type searchEvents struct {
	w      http.ResponseWriter
	stream *stream
}

func (e *searchEvents) send(name string, v any) error {
	if e.stream == nil {
		e.stream = newStream(e.w)
	}
	return e.stream.send(name, v)
}

func (e *searchEvents) Matches(list []browse.Message) error {
	return e.send("matches", map[string]any{"messages": list})
}

func (e *searchEvents) Progress(p browse.Progress) error { return e.send("progress", p) }

// search searches a topic. It ends when the client disconnects.
func (s *Server) search(w http.ResponseWriter, r *http.Request, q browse.Query) {
	events := &searchEvents{w: w}
	end, err := s.src.Messages.Search(r.Context(), q, events)
	switch {
	case r.Context().Err() != nil:
	case err != nil && events.stream == nil:
		s.problem(w, ofMessages(err))
	case err != nil:
		_ = events.send("problem", problemOf(ofMessages(err)))
	default:
		_ = events.send("end", end)
	}
}

// topicEvents sends new messages in batches, four times a second.
func (s *Server) topicEvents(w http.ResponseWriter, r *http.Request, q browse.Query) {
	last, err := number(r.URL.Query(), "last", 0, 0, browse.MaxLast)
	if err != nil {
		s.problem(w, err)
		return
	}
	stream := newStream(w)
	err = s.src.Messages.Live(r.Context(), q, last,
		func(l browse.Live) error { return stream.send("messages", l) },
		func(err error) error { return stream.send("problem", problemOf(ofMessages(err))) })
	if err != nil && r.Context().Err() == nil {
		_ = stream.send("problem", problemOf(ofMessages(err)))
	}
}
