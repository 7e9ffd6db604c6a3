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

// ErrFetchFull means that the first batch of a partition had no room beside the decompressed batches of other
// partitions in the same fetch. The next fetch returns it.
var ErrFetchFull = errors.New("the fetch decompresses to more than is read at once")

// Decompressor limits the memory that a consuming client uses for compressed batches. Kafka's own limits count
// compressed bytes, which may be a thousandth of the decompressed size. There is one limit for a batch, and one for all
// batches of a fetch together; the client requests batches that had no room again. It is safe for concurrent use. With
// several fetches at once the second limit applies to all of them together, or a little less strictly.
type Decompressor struct {
	batch, fetch int
	used         atomic.Int64 // decompressed since the last fetch response
	zstd         sync.Pool
}

var (
	_ kgo.Decompressor  = (*Decompressor)(nil)
	_ kgo.HookBrokerE2E = (*Decompressor)(nil)
)

// New makes a Decompressor with limits of decompressed bytes for a batch and for a fetch. Pass its Options to the
// client.
func New(batch, fetch int) *Decompressor {
	i := &Decompressor{batch: batch, fetch: fetch}
	i.zstd.New = func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(batch)))
		if err != nil {
			return err // an option is invalid
		}
		return d // one goroutine, nothing to close
	}
	return i
}

// Options returns the client options that make a client use it.
func (i *Decompressor) Options() []kgo.Opt {
	return []kgo.Opt{kgo.WithDecompressor(i), kgo.WithHooks(i)}
}

const fetchKey = 1 // API key of Fetch in the protocol

// OnBrokerE2E begins a new fetch. The client calls it before it decompresses.
func (i *Decompressor) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, _ kgo.BrokerE2E) {
	if key == fetchKey {
		i.used.Store(0)
	}
}

// Decompress implements kgo.Decompressor. The error is kgo.ErrMaxDecompress for a batch that exceeds its own limit, and
// ErrFetchFull for a batch that has no room in this fetch.
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

const xerialHeader = 16 // magic, version and oldest compatible version

// snappyLen returns the decompressed length that a snappy block, or the blocks of Java's framing, declare. The decoder
// enforces the declared length.
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
