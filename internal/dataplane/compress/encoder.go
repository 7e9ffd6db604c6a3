package compress

import (
	"bytes"
	"io"
	"sync/atomic"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The levels cost about the same time. Their windows bound the memory of an encoder to about 2 MB.
const (
	gzipLevel     = 5
	brotliQuality = 4
	brotliWindow  = 18        // 256 KiB, as a power of two
	zstdWindow    = 256 << 10 // bytes
)

const (
	maxEncoders = 256 // in use at a time, about 0.5 GB
	idle        = 8   // unused encoders of a coding that are kept
)

// Pool lends encoders. It is safe for concurrent use.
type Pool struct {
	free  [NumCodings]chan *Encoder
	inUse atomic.Int64
	most  int64
}

// NewPool returns a pool of at most 256 encoders, which make no goroutines.
func NewPool() *Pool {
	p := &Pool{most: maxEncoders}
	for i := range p.free {
		p.free[i] = make(chan *Encoder, idle)
	}
	return p
}

// Get returns an encoder for a coding other than Identity, nil if too many are in use. Put must follow.
func (p *Pool) Get(c Coding) *Encoder {
	if p.inUse.Add(1) > p.most {
		p.inUse.Add(-1)
		return nil
	}
	select {
	case e := <-p.free[c]:
		return e
	default:
		return newEncoder(c)
	}
}

// Put takes an encoder back, in any state.
func (p *Pool) Put(e *Encoder) {
	p.inUse.Add(-1)
	e.out.Reset()
	e.w.Reset(&e.out)
	select {
	case p.free[e.coding] <- e:
	default:
	}
}

// writer is what all encoders have.
type writer interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// Encoder compresses one body at a time. It is used by one goroutine at a time.
type Encoder struct {
	coding Coding
	w      writer
	out    bytes.Buffer
}

func newEncoder(c Coding) *Encoder {
	e := &Encoder{coding: c}
	switch c {
	case Gzip:
		e.w, _ = gzip.NewWriterLevel(&e.out, gzipLevel) // the level is valid
	case Brotli:
		e.w = brotli.NewWriterOptions(&e.out, brotli.WriterOptions{Quality: brotliQuality, LGWin: brotliWindow})
	case Zstd:
		// without a checksum, as browsers expect; concurrency 1 makes no goroutines
		e.w, _ = zstd.NewWriter(&e.out, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	}
	return e
}

// Encode compresses the next bytes of the body, and returns all that the client needs to read them. After the last bytes,
// the encoder is only good for Put. The result is valid until the next call. There are no errors: the writers pass on those
// of their destination, which is memory.
func (e *Encoder) Encode(data []byte, last bool) []byte {
	e.out.Reset()
	if len(data) > 0 {
		_, _ = e.w.Write(data)
	}
	switch {
	case last:
		_ = e.w.Close()
	case len(data) > 0:
		_ = e.w.Flush()
	}
	return e.out.Bytes()
}
