package h1

// Body extracts the data of a message body from received bytes, according to the framing of the head. Call Start, then
// Take until Done.
type Body struct {
	kind   Framing
	left   int64
	chunks Chunked
	done   bool
}

// Start begins a body. length is used only for ByLength.
func (b *Body) Start(kind Framing, length int64) {
	*b = Body{kind: kind, left: length, done: kind == NoBody || kind == ByLength && length == 0}
}

// Tolerate accepts the departures of Tolerances that can occur in a body. Call it between Start and Take.
func (b *Body) Tolerate() { b.chunks.tolerant = true }

// KeepTrailers keeps the trailers of a chunked body. Call it between Start and Take.
func (b *Body) KeepTrailers() { b.chunks.keep = true }

// Trailers returns the lines of the trailers that were kept, as they were received. It is valid until Start.
func (b *Body) Trailers() []byte { return b.chunks.kept }

// Tolerated returns the departures found so far.
func (b *Body) Tolerated() Tolerances {
	if b.chunks.blanks {
		return ChunkBlank
	}
	return 0
}

// Take reads p. It moves the data to the front of p (data) and returns how many bytes of p it used. Take uses all bytes
// of p until Done. The bytes after the first n are then not part of this body. A body UntilClose is done
// after End.
func (b *Body) Take(p []byte) (data []byte, n int, _ *Error) {
	if b.done {
		return nil, 0, nil
	}
	switch b.kind {
	case ByLength:
		if int64(len(p)) >= b.left {
			p = p[:b.left]
			b.done = true
		}
		b.left -= int64(len(p))
		return p, len(p), nil
	case ByChunks:
		w := 0
		for n < len(p) && !b.chunks.Done() {
			run, used, err := b.chunks.Next(p[n:])
			if err != nil {
				return nil, n, err
			}
			n += used
			if len(run) > 0 {
				w += copy(p[w:], run)
			}
		}
		b.done = b.chunks.Done()
		return p[:w], n, nil
	}
	return p, len(p), nil
}

// End notes that the stream has ended: a body UntilClose is then complete.
func (b *Body) End() { b.done = true }

// EndsWithStream reports whether the body is UntilClose.
func (b *Body) EndsWithStream() bool { return b.kind == UntilClose }

// Done reports whether the body is complete.
func (b *Body) Done() bool { return b.done }

// Want limits the next read to limit bytes. A body with a known length is not read beyond its end.
func (b *Body) Want(limit int) int {
	if b.kind == ByLength && b.left < int64(limit) {
		return int(b.left)
	}
	return limit
}
