package h1

// Limits of the bytes around the data of a chunked body. Clients do not need large extensions or trailers; without
// limits such bytes cost work and carry no data (CVE-2023-39326).
const (
	maxChunkDigits = 15      // sizes stay below 1<<60
	maxChunkExt    = 256     // bytes of one chunk extension
	maxExtTotal    = 4 << 10 // bytes of all extensions of a body
	maxTrailer     = 4 << 10 // bytes of all trailer lines
)

type chunkState uint8

const (
	chunkSize    chunkState = iota // digits of a size
	chunkExt                       // after ';'
	chunkBlank                     // blanks after the digits
	chunkSizeLF                    // LF of the size line
	chunkData                      // bytes of the chunk
	chunkCR                        // CR after the data
	chunkLF                        // LF after the data
	trailerStart                   // first byte of a trailer line, or CR of the end
	trailerName                    // name of a trailer field
	trailerValue                   // value of a trailer field
	trailerLF                      // LF of a trailer line
	trailerEndLF                   // LF of the empty line
	chunkDone
)

// Chunked decodes a chunked body (RFC 9112 §7.1) byte by byte; the sizes of the reads do not matter. It checks and
// drops extensions; it checks trailers, and drops them unless keep is set. The zero value is ready to use.
type Chunked struct {
	left   int64 // of the size being read, then of the data
	state  chunkState
	digits uint8
	ext    uint16 // bytes of this extension
	exts   uint16 // bytes of all extensions
	trail  uint16 // bytes of trailers

	keep bool   // trailers are kept
	kept []byte // their lines, at most maxTrailer bytes

	tolerant bool // blanks after a size are accepted
	blanks   bool // such blanks were found
}

// Done reports whether the body has ended.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Next reads from p up to and including the next run of data. It returns that run (within p, empty if there was none)
// and how many bytes of p it used. If Done, the bytes after n are not part of the body. An error is final.
func (c *Chunked) Next(p []byte) (data []byte, n int, _ *Error) {
	for n < len(p) && c.state != chunkDone {
		if c.state == chunkData {
			run := p[n:]
			if int64(len(run)) > c.left {
				run = run[:c.left]
			}
			c.left -= int64(len(run))
			if c.left == 0 {
				c.state = chunkCR
			}
			return run, n + len(run), nil
		}
		if err := c.step(p[n]); err != nil {
			return nil, n, err
		}
		n++
	}
	return nil, n, nil
}

// step processes one byte that is not data.
func (c *Chunked) step(b byte) *Error {
	switch c.state {
	case chunkSize:
		return c.size(b)
	case chunkExt:
		if b == '\r' {
			c.state = chunkSizeLF
			return nil
		}
		if c.ext++; c.ext > maxChunkExt || chars[b]&charValue == 0 || b >= 0x80 {
			return errChunkExt
		}
		if c.exts++; c.exts > maxExtTotal {
			return errChunkExt
		}
	case chunkBlank:
		return c.blank(b)
	case chunkSizeLF:
		if b != '\n' {
			return errChunkSize
		}
		c.state = chunkData
		if c.left == 0 {
			c.state = trailerStart
		}
	case chunkCR:
		if b != '\r' {
			return errChunkEnd
		}
		c.state = chunkLF
	case chunkLF:
		if b != '\n' {
			return errChunkEnd
		}
		c.state, c.digits = chunkSize, 0
	default:
		return c.trailer(b)
	}
	return nil
}

func (c *Chunked) size(b byte) *Error {
	switch {
	case c.tolerant && b == '0' && c.left == 0 && c.digits > 0: // one more leading zero
		if c.exts++; c.exts > maxExtTotal {
			return errChunkSize
		}
		return nil
	case chars[b]&charHex != 0:
		if c.digits++; c.digits > maxChunkDigits {
			return errChunkSize
		}
		c.left = c.left<<4 | int64(unhex(b))
		return nil
	case c.digits == 0:
		return errChunkSize
	case b == '\r':
		c.state = chunkSizeLF
		return nil
	case b == ';':
		c.state, c.ext = chunkExt, 0
		return nil
	case c.tolerant && (b == ' ' || b == '\t'):
		c.state, c.ext, c.blanks = chunkBlank, 0, true
		return nil
	}
	return errChunkSize
}

// blank processes a byte that follows a blank after a size. Blanks count as bytes of an extension.
func (c *Chunked) blank(b byte) *Error {
	switch b {
	case '\r':
		c.state = chunkSizeLF
		return nil
	case ';':
		c.state = chunkExt
		return nil
	case ' ', '\t':
		c.ext++
		if c.exts++; c.ext <= maxChunkExt && c.exts <= maxExtTotal {
			return nil
		}
	}
	return errChunkSize
}

func (c *Chunked) trailer(b byte) *Error {
	if c.trail++; c.trail > maxTrailer {
		return errTrailer
	}
	if c.keep {
		c.kept = append(c.kept, b)
	}
	switch c.state {
	case trailerStart:
		switch {
		case b == '\r':
			c.state = trailerEndLF
		case chars[b]&charToken != 0:
			c.state = trailerName
		default:
			return errTrailer
		}
	case trailerName:
		switch {
		case b == ':':
			c.state = trailerValue
		case chars[b]&charToken == 0:
			return errTrailer
		}
	case trailerValue:
		switch {
		case b == '\r':
			c.state = trailerLF
		case chars[b]&charValue == 0:
			return errTrailer
		}
	case trailerLF:
		if b != '\n' {
			return errTrailer
		}
		c.state = trailerStart
	case trailerEndLF:
		if b != '\n' {
			return errTrailer
		}
		c.state = chunkDone
	}
	return nil
}
