package inflate_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/klauspost/compress/snappy/xerial"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka/inflate"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

var codecs = map[string]kgo.CompressionCodec{
	"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func compressed(t testing.TB, codec kgo.CompressionCodec, text []byte) ([]byte, kgo.CompressionCodecType) {
	t.Helper()
	c, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	out, kind := c.Compress(&bytes.Buffer{}, text)
	return bytes.Clone(out), kind
}

const fetchAnswered = 1 // the key of a fetch

func TestABatchHasItsBound(t *testing.T) {
	const bound = 8 << 20 // less is not enough for the window that zstd takes
	for name, codec := range codecs {
		for _, n := range []int{0, 1, 1000, bound, bound + 1, 2 * bound} {
			text := bytes.Repeat([]byte("x"), n)
			src, kind := compressed(t, codec, text)
			out, err := inflate.New(bound, 1).Decompress(src, kind)
			switch {
			case n <= bound && (err != nil || !bytes.Equal(out, text)):
				t.Errorf("%s of %d bytes: %d bytes, %v", name, n, len(out), err)
			case n > bound && !errors.Is(err, kgo.ErrMaxDecompress):
				t.Errorf("%s of %d bytes: %d bytes, %v, want %v", name, n, len(out), err, kgo.ErrMaxDecompress)
			}
		}
	}
	framed := xerial.Encode(nil, bytes.Repeat([]byte("java"), 50_000)) // several blocks
	if out, err := inflate.New(200_000, 1).Decompress(framed, kgo.CodecSnappy); err != nil || len(out) != 200_000 {
		t.Errorf("snappy as Java frames it: %d bytes, %v", len(out), err)
	}
	if _, err := inflate.New(199_999, 1).Decompress(framed, kgo.CodecSnappy); !errors.Is(err, kgo.ErrMaxDecompress) {
		t.Errorf("blocks that are too much together: %v", err)
	}
}

func TestAFetchHasItsBound(t *testing.T) {
	i := inflate.New(8<<20, 1500)
	src, kind := compressed(t, codecs["zstd"], make([]byte, 1000))
	answer := func() { i.OnBrokerE2E(kgo.BrokerMetadata{}, fetchAnswered, kgo.BrokerE2E{}) }
	for round := range 2 {
		for n, want := range []error{nil, nil, inflate.ErrFetchFull} { // the second begins within the bound
			if _, err := i.Decompress(src, kind); !errors.Is(err, want) {
				t.Errorf("round %d, batch %d: %v, want %v", round, n, err, want)
			}
		}
		if _, err := i.Decompress(src, kgo.CodecNone); err != nil {
			t.Errorf("what is not compressed takes nothing: %v", err)
		}
		i.OnBrokerE2E(kgo.BrokerMetadata{}, fetchAnswered+1, kgo.BrokerE2E{}) // of something else
		if _, err := i.Decompress(src, kind); !errors.Is(err, inflate.ErrFetchFull) {
			t.Errorf("round %d: another answer made room", round)
		}
		answer()
	}
}

// A topic of values that compress a thousandfold is read whole and in order,
// little by little.
func TestWhatCompressesWellIsReadLittleByLittle(t *testing.T) {
	const partitions, each, size, most = 3, 20, 1 << 20, 4 << 20
	c := kafkatest.New(t, fmt.Sprintf("a:%d", partitions))
	send, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codecs["zstd"]), kgo.ProducerBatchMaxBytes(2*size), kgo.MaxBufferedRecords(1))
	if err != nil {
		t.Fatal(err)
	}
	defer send.Close()
	for n := range partitions * each { // one record a batch
		if err := send.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Partition: int32(n % partitions), Value: bytes.Repeat([]byte{byte(n / partitions)}, size)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	client, err := kgo.NewClient(append(inflate.New(8<<20, most).Options(), kgo.SeedBrokers(c.Addr()), kgo.ConsumeTopics("a"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MaxConcurrentFetches(1), kgo.KeepRetryableFetchErrors())...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var next [partitions]int64
	for total := 0; total < partitions*each; {
		fetches := client.PollFetches(t.Context())
		for _, fe := range fetches.Errors() {
			if !errors.Is(fe.Err, inflate.ErrFetchFull) {
				t.Fatal(fe.Err)
			}
		}
		got := 0
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != next[r.Partition] || len(r.Value) != size || r.Value[0] != byte(r.Offset) {
				t.Fatalf("partition %d: offset %d with %d times %d, want offset %d", r.Partition, r.Offset, len(r.Value), r.Value[0], next[r.Partition])
			}
			next[r.Partition]++
			got += len(r.Value)
		})
		if got > most+2*size {
			t.Errorf("%d bytes at once", got)
		}
		total += fetches.NumRecords()
	}
}

// What the library's own decompressor makes of a batch, ours makes of it too,
// unless it is too large.
func FuzzInflate(f *testing.F) {
	for _, codec := range codecs {
		src, kind := compressed(f, codec, bytes.Repeat([]byte(`{"serviceId":"user-service"}`), 20))
		f.Add(src, int8(kind))
	}
	f.Add(xerial.Encode(nil, []byte("framed")), int8(kgo.CodecSnappy))
	f.Add(xerial.Encode(nil, []byte("framed"))[:18], int8(kgo.CodecSnappy))
	const bound = 8 << 20
	theirs := kgo.DefaultDecompressor()
	f.Fuzz(func(t *testing.T, src []byte, codec int8) {
		kind := kgo.CompressionCodecType(codec)
		got, err := inflate.New(bound, 1).Decompress(src, kind)
		if len(got) > bound && kind != kgo.CodecNone {
			t.Fatalf("%d bytes", len(got))
		}
		if err != nil {
			return
		}
		want, err := theirs.Decompress(src, kind)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("ours gives %q, theirs %q, %v", got, want, err)
		}
	})
}
