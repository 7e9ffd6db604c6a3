package h1

import "bytes"

// Response is a parsed response head. Like Request it is reused and keeps offsets into the buffer given to Parse.
type Response struct {
	Fields
	reason  []byte
	upgrade []byte

	Status    int
	Minor     int
	Body      Framing    // NoBody also for HEAD, 1xx, 204 and 304
	Length    int64      // Content-Length, -1 if there was none; with NoBody it describes a body that is not sent
	Close     bool       // the instance will close the connection
	Tolerated Tolerances // departures found by a tolerant reading

	started       bool
	line, scanned int
}

// Reset prepares r for the next head.
func (r *Response) Reset() {
	list := r.list[:0]
	*r = Response{}
	r.list = list
}

// Reason returns the reason phrase, which may be empty.
func (r *Response) Reason() []byte { return r.reason }

// Accepts reports whether this response changes the connection to the protocol that the request asked for.
func (r *Response) Accepts(protocol []byte) bool {
	return r.Status == 101 && len(protocol) > 0 && sameFold(r.upgrade, protocol)
}

// Interim reports whether another head follows (1xx except 101).
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// Parse reads a response head from the start of buf as Request.Parse does. The framing depends on the request: head
// says that the method was HEAD. tolerant accepts the departures of Tolerances and may rewrite bytes of buf in place.
// All its errors mean 502, whatever their Status.
func (r *Response) Parse(buf []byte, head, tolerant bool, lim *Limits) (n int, _ *Error) {
	r.buf = buf
	for {
		i := bytes.IndexByte(buf[r.scanned:], '\n')
		if i < 0 {
			r.scanned = len(buf)
			if len(buf) > lim.Head {
				return 0, errHeadLarge
			}
			if !r.started && !couldBeStatusLine(buf) {
				return 0, errStatusLine
			}
			return 0, nil
		}
		start, end, next := r.line, r.scanned+i-1, r.scanned+i+1
		lf := end < start || buf[end] != '\r'
		if lf {
			if !tolerant {
				return 0, errLineEnd
			}
			end++
			r.Tolerated |= LineEnds
		}
		r.line, r.scanned = next, next
		if r.line > lim.Head {
			return 0, errHeadLarge
		}
		switch {
		case !r.started:
			if err := r.statusLine(buf[start:end], tolerant); err != nil {
				return 0, err
			}
			r.started = true
		case end == start:
			return r.line, r.finish(head, tolerant)
		default:
			err := r.add(buf, start, end, lim.Fields)
			if err != nil && tolerant {
				err = r.repair(err, buf, start, end, lim.Fields)
			}
			if err != nil {
				return 0, err
			}
			if lf {
				r.list[len(r.list)-1].plain = false
			}
		}
	}
}

// couldBeStatusLine makes invalid bytes fail at once instead of at a timeout.
func couldBeStatusLine(b []byte) bool {
	const prefix = "HTTP/1."
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

func (r *Response) statusLine(line []byte, tolerant bool) *Error {
	// HTTP/1.x SP 3DIGIT [SP reason]; many servers omit the second space.
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] < '0' || line[7] > '9' || line[8] != ' ' {
		return errStatusLine
	}
	if line[7] > '1' { // RFC 9110 §2.5: read as the highest known minor version
		if !tolerant {
			return errStatusLine
		}
		r.Tolerated |= NewerVersion
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return errStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 && !tolerant {
		return errStatusLine
	}
	if r.Status > 599 {
		r.Tolerated |= OddStatus
	}
	if rest := line[12:]; len(rest) > 0 {
		if rest[0] != ' ' {
			return errStatusLine
		}
		if !all(rest, charValue) {
			if !tolerant {
				return errStatusLine
			}
			blankControls(rest)
			r.Tolerated |= ControlChars
		}
		r.reason = rest[1:]
	}
	r.Minor = min(int(line[7]-'0'), 1)
	return nil
}

func (r *Response) finish(head, tolerant bool) *Error {
	var tolerated *Tolerances
	if tolerant {
		tolerated = &r.Tolerated
	}
	con, err := r.applyConnection(tolerated)
	if err != nil {
		return err
	}
	chunked, length, err := r.framing(r.Minor, tolerated)
	if err != nil {
		return err
	}
	con.close = con.close || chunked && r.Minor == 0 // RFC 9112 §6.1
	r.Length = length
	r.Close = con.close || r.Minor == 0 && !con.keepAlive
	switch { // RFC 9112 §6.3
	case r.Status == 101:
		r.Body = ByTunnelling
		if con.upgrade && r.count(Upgrade) == 1 && !chunked && length <= 0 {
			r.upgrade = r.first(Upgrade)
		}
	case head || r.Status < 200 || r.Status == 204 || r.Status == 304:
		r.Body = NoBody
	case chunked:
		r.Body = ByChunks
	case length > 0:
		r.Body = ByLength
	case length == 0:
		r.Body = NoBody
	default:
		r.Body, r.Close = UntilClose, true
	}
	return nil
}
