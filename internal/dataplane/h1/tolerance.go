package h1

import "bytes"

// Tolerances is a set of departures from RFC 9112 found in a response. Each of them has only one reading. The forwarded
// response no longer has them.
type Tolerances uint32

// The departures that are tolerated in responses.
const (
	LineEnds        Tolerances = 1 << iota // lines of the head end with LF only
	RepeatedLength                         // Content-Length occurs several times, all equal
	OddStatus                              // a status of 600 to 999
	NewerVersion                           // HTTP/1.2 to HTTP/1.9
	ControlChars                           // control characters in values or the reason; each becomes a space
	OldChunked                             // Transfer-Encoding: chunked in HTTP/1.0
	ChunkBlank                             // blanks after the size of a chunk
	ManyInterim                            // more than MaxInterim interim heads
	ConnectionNames                        // Connection names a field that it must not name; the option is ignored
	FoldedLine                             // a field continued on the next line; joined by spaces
	BlankName                              // blanks between a field's name and the colon
	NumTolerances   = iota                 // number of departures
)

var toleranceWords = [NumTolerances]string{
	"line-ends", "repeated-length", "odd-status", "newer-version", "control-characters", "chunked-in-http10",
	"chunk-size-blank", "many-interim", "connection-names", "folded-line", "blank-before-colon",
}

// ToleranceName returns the word for bit i of a set, 0 <= i < NumTolerances.
func ToleranceName(i int) string { return toleranceWords[i] }

// MaxInterim is how many interim heads (1xx) a strict reader accepts before a response. MaxInterimTolerated is the
// limit of a tolerant reader. Above the limit, the instance would only keep the proxy busy.
const (
	MaxInterim          = 8
	MaxInterimTolerated = 1024
)

// repair repairs a field line that add refused, if the line has only one reading. It rewrites the line in place, so the
// forwarded line is correct.
func (r *Response) repair(bad *Error, buf []byte, start, end, limit int) *Error {
	for range 3 { // one line may need each repair once
		switch bad {
		case errFold:
			return r.unfold(buf, start, end)
		case errFieldName:
			moved := closeGap(buf[start:end])
			if moved == 0 {
				return bad
			}
			start += moved
			r.Tolerated |= BlankName
		case errFieldValue:
			if frames(buf[start:end]) {
				return bad // some readers strip \v or \f as blanks: they would find a coding where others find none
			}
			blankControls(buf[start:end])
			r.Tolerated |= ControlChars
		default:
			return bad
		}
		if bad = r.add(buf, start, end, limit); bad == nil {
			r.list[len(r.list)-1].plain = false
			return nil
		}
	}
	return bad
}

// frames reports whether a line is a field that frames the message.
func frames(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte{':'})
	kind := kindOf(name)
	return kind == ContentLength || kind == TransferEncoding
}

// unfold joins a line to the field before it (RFC 9112 §5.2). It does not join lines to fields that frame the message
// or change the connection.
func (r *Response) unfold(buf []byte, start, end int) *Error {
	if len(r.list) == 0 {
		return errFold
	}
	l := &r.list[len(r.list)-1]
	if l.kind != Other && l.kind != Challenge && l.kind != Underscore {
		return errFold
	}
	for i := int(l.end); i < start; i++ {
		buf[i] = ' '
	}
	if !all(buf[start:end], charValue) {
		blankControls(buf[start:end])
		r.Tolerated |= ControlChars
	}
	for end > int(l.end) && (buf[end-1] == ' ' || buf[end-1] == '\t') {
		end--
	}
	l.end, l.plain = uint16(end), false
	r.Tolerated |= FoldedLine
	r.binds = r.binds || l.kind == Challenge && bindsConnection(buf[l.value:l.end])
	return nil
}

// closeGap removes blanks between a field's name and its colon (RFC 9112 §5.1) by moving the name. It returns by how
// many bytes the name moved.
func closeGap(line []byte) int {
	name := 0
	for name < len(line) && chars[line[name]]&charToken != 0 {
		name++
	}
	colon := name
	for colon < len(line) && (line[colon] == ' ' || line[colon] == '\t') {
		colon++
	}
	if name == 0 || colon == name || colon == len(line) || line[colon] != ':' {
		return 0
	}
	copy(line[colon-name:], line[:name])
	return colon - name
}

// blankControls replaces control characters with spaces (RFC 9110 §5.5).
func blankControls(b []byte) {
	for i, c := range b {
		if chars[c]&charValue == 0 {
			b[i] = ' '
		}
	}
}

// equalLengths reads a Content-Length that is a list of equal numbers (RFC 9112
// §6.3).
func equalLengths(v []byte) (length int64, _ *Error) {
	length = -1
	for {
		item, rest, more := bytes.Cut(v, []byte{','})
		n, err := parseLength(trim(item))
		if err != nil {
			return 0, err
		}
		if length >= 0 && n != length {
			return 0, errLengthTwice
		}
		length = n
		if !more {
			return length, nil
		}
		v = rest
	}
}
