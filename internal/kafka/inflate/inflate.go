package inflate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrFetchFull is what a client's fetch says of a partition whose first batch
// did not fit beside what the other partitions of that fetch decompressed to.
// The next fetch brings it.
var ErrFetchFull = errors.New("the fetch decompresses to more than is read at once")

// Decompressor bounds the memory that a consuming client takes for compressed
// batches: Kafka's own limits count compressed bytes, which may be a thousandth
// of what comes out. A batch may decompress to so much, and all the batches of
// one fetch to so much more; the client asks again for those that had no room.
// It is safe for concurrent use; with several fetches at once the second bound
// holds for them together, or a little less strictly.
type Decompressor struct {
	batch, fetch int
	used         atomic.Int64 // decompressed since the last answer to a fetch
	zstd         sync.Pool
}

var (
	_ kgo.Decompressor  = (*Decompressor)(nil)
	_ kgo.HookBrokerE2E = (*Decompressor)(nil)
)

// New bounds a batch and a fetch to so many decompressed bytes. A
// client takes it by its Options.
func New(batch, fetch int) *Decompressor {
	i := &Decompressor{batch: batch, fetch: fetch}
	i.zstd.New = func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(batch)))
		if err != nil {
			return err // an option is wrong
		}
		return d // one goroutine, nothing to close
	}
	return i
}

// Options make a client use it.
func (i *Decompressor) Options() []kgo.Opt {
	return []kgo.Opt{kgo.WithDecompressor(i), kgo.WithHooks(i)}
}

const fetchKey = 1 // of the protocol

// OnBrokerE2E begins a new fetch. The client calls it before it decompresses.
func (i *Decompressor) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, _ kgo.BrokerE2E) {
	if key == fetchKey {
		i.used.Store(0)
	}
}

// Decompress implements kgo.Decompressor. The error is kgo.ErrMaxDecompress for
// a batch that is too large ever, ErrFetchFull for one that is too late.
func (i *Decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	if i.used.Load() >= int64(i.fetch) {
		return nil, ErrFetchFull
	}
	out, err := i.inflate(src, codec)
	i.used.Add(int64(len(out)))
	return out, err
}

func (i *Decompressor) inflate(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	switch codec {
	case kgo.CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return i.readAll(r)
	case kgo.CodecSnappy:
		n, err := snappyLen(src)
		if err != nil {
			return nil, err
		}
		if n > i.batch {
			return nil, kgo.ErrMaxDecompress
		}
		return xerial.DecodeInto(make([]byte, 0, n), src)
	case kgo.CodecLz4:
		return i.readAll(lz4.NewReader(bytes.NewReader(src)))
	case kgo.CodecZstd:
		d, ok := i.zstd.Get().(*zstd.Decoder)
		if !ok {
			return nil, errors.New("no zstd decoder")
		}
		defer i.zstd.Put(d)
		out, err := d.DecodeAll(src, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, fmt.Errorf("%w: %w", kgo.ErrMaxDecompress, err)
		}
		return out, err
	}
	return nil, fmt.Errorf("unknown compression codec %d", codec)
}

func (i *Decompressor) readAll(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(i.batch)+1))
	if err == nil && len(out) > i.batch {
		return nil, kgo.ErrMaxDecompress
	}
	return out, err
}

var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16 // the magic, a version and the oldest that can read it

// snappyLen is how much a snappy block, or the blocks of Java's framing,
// decompress to by their own word, which the decoder holds them to.
func snappyLen(src []byte) (int, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return s2.DecodedLen(src)
	}
	if len(src) <= xerialHeader {
		return 0, xerial.ErrMalformed
	}
	total := 0
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return 0, xerial.ErrMalformed
		}
		size := int64(binary.BigEndian.Uint32(src))
		if src = src[4:]; size > int64(len(src)) {
			return 0, xerial.ErrMalformed
		}
		n, err := s2.DecodedLen(src[:size])
		if err != nil {
			return 0, err
		}
		total += n
		src = src[size:]
	}
	return total, nil
}
