package api

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
)

// gzipHead is the header of a gzip stream without name and time (RFC 1952 §2.3.1).
var gzipHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// zipChunk compresses b independently of other chunks. The chunk ends on a byte boundary and does not end the stream
// (RFC 1951 §3.2.3, an empty stored block). So the streams of many clients can share chunks.
func zipChunk(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil // cannot happen: the level is a valid constant
	}
	_, _ = w.Write(b) // writes to memory
	_ = w.Flush()
	return out.Bytes()
}

// pipe is an event stream, compressed if the client accepts it.
type pipe struct {
	*stream
	zip bool
}

func newPipe(w http.ResponseWriter, r *http.Request) *pipe {
	p := &pipe{zip: strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")}
	if p.zip {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Add("Vary", "Accept-Encoding")
	}
	p.stream = newStream(w)
	if p.zip {
		_, _ = w.Write(gzipHead) // the first event detects a closed connection
	}
	return p
}

// put writes an event that the feed made.
func (p *pipe) put(e payload) error {
	b := e.event
	if p.zip {
		if b = e.zipped; b == nil {
			b = zipChunk(e.event)
		}
	}
	if err := p.rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := p.w.Write(b); err != nil {
		return goneError{err}
	}
	if err := p.rc.Flush(); err != nil {
		return goneError{err}
	}
	return nil
}

// tell writes an event.
func (p *pipe) tell(name string, v any) error {
	event, err := appendEvent(nil, name, v)
	if err != nil {
		return err
	}
	return p.put(payload{event: event})
}

// goneError means that the client no longer reads.
type goneError struct{ error }

func gone(err error) bool {
	var g goneError
	return errors.As(err, &g)
}

func appendEvent(dst []byte, name string, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dst = append(append(append(dst, "event: "...), name...), "\ndata: "...)
	return append(append(dst, readable.JSON(data)...), "\n\n"...), nil
}
