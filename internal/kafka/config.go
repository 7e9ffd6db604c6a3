package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka/inflate"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// MaxValueBytes is the largest record value that our clients send: the documented limit of 10 MB. Kafka limits whole
// batches, so brokers and topics are configured to MaxBatchBytes, which leaves room for key, headers and framing.
const MaxValueBytes = 10_485_760

// MaxBatchBytes is the limit of brokers and topics that permits a value of MaxValueBytes: 11 MiB.
const MaxBatchBytes = 11_534_336

// maxDecompressedBytes bounds the decompressed size of one fetched batch, and of the batches before it in the same
// fetch. It equals six full batches: producers of valid data do not reach it, compression bombs exceed it.
const maxDecompressedBytes = 64 << 20

// Config describes the brokers and how records are sent. Start from Default.
type Config struct {
	Brokers            []string      // host:port of the bootstrap brokers; default localhost:9092
	ClientID           string        // shown in broker logs and group listings; default smartlb
	Linger             time.Duration // longest wait for a fuller batch; default 20 ms, 0 sends at once
	BatchMaxBytes      int32         // largest batch; default and ceiling MaxBatchBytes
	Compression        string        // none, gzip, snappy, lz4 or zstd; default zstd
	MaxBufferedRecords int           // records a producer holds before it drops; default 50,000
	MaxBufferedBytes   int           // bytes a producer holds before it drops; default 64 MiB
	DialTimeout        time.Duration // one connection attempt; default 5 s
	RequestTimeout     time.Duration // one request with its retries; default 15 s
	DeliveryTimeout    time.Duration // longest time a record waits for delivery before it is dropped; default 30 s
	Retry              backoff.Policy

	// Dial opens a connection to a broker, before TLS; default: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Security Security            // default: no encryption, no login
	Getenv   func(string) string // looks up ${env:NAME}; default os.Getenv

	Signing *sign.Ring // signs records to sign.Topics and verifies records that are read; nil: neither
	Skips   *Skips     // counts records that could not be handled; nil: such records are only logged
}

// Default returns the configuration for a broker on this machine.
func Default() Config {
	return Config{
		Brokers:            []string{"localhost:9092"},
		ClientID:           "smartlb",
		Linger:             20 * time.Millisecond,
		BatchMaxBytes:      MaxBatchBytes,
		Compression:        "zstd",
		MaxBufferedRecords: 50_000,
		MaxBufferedBytes:   64 << 20,
		DialTimeout:        5 * time.Second,
		RequestTimeout:     15 * time.Second,
		DeliveryTimeout:    30 * time.Second,
		Retry:              backoff.Policy{Base: 100 * time.Millisecond, Max: 5 * time.Second, Factor: 2},
	}
}

// Compressions lists the accepted names of Config.Compression.
func Compressions() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

// Validate reports every mistake at once, each with its field.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		bad("brokers: at least one host:port is needed")
	}
	for i, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if err != nil || host == "" || port == "" {
			bad("brokers[%d]: %q is not host:port", i, b)
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			bad("brokers[%d]: %q: the port must be a number from 1 to 65535", i, b)
		}
	}
	if c.Linger < 0 || c.Linger > time.Minute {
		bad("linger: %v is not between 0 and 1m", c.Linger)
	}
	if c.BatchMaxBytes < 1<<10 || c.BatchMaxBytes > MaxBatchBytes {
		bad("batchMaxBytes: %d is not between 1024 and %d", c.BatchMaxBytes, MaxBatchBytes)
	}
	if !slices.Contains(Compressions(), c.Compression) {
		bad("compression: %q is not one of %v", c.Compression, Compressions())
	}
	if c.MaxBufferedRecords < 1 {
		bad("maxBufferedRecords: %d is not positive", c.MaxBufferedRecords)
	}
	if c.MaxBufferedBytes < int(c.BatchMaxBytes) {
		bad("maxBufferedBytes: %d is less than one batch of %d", c.MaxBufferedBytes, c.BatchMaxBytes)
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"dialTimeout", c.DialTimeout}, {"requestTimeout", c.RequestTimeout}, {"deliveryTimeout", c.DeliveryTimeout}} {
		if d.d <= 0 {
			bad("%s: %v is not positive", d.name, d.d)
		}
	}
	for _, m := range c.Security.Check() {
		bad("%s: %s", m.Path, m.Text)
	}
	return errors.Join(errs...)
}

// brokerTimeout is how long one broker may take for a request beyond the time that the request itself permits.
// RequestTimeout covers all retries of a request: if one of several brokers hangs, there is time to try another broker.
const brokerTimeout = 5 * time.Second

// Options are the settings that every client of this program shares.
func (c Config) Options() []kgo.Opt {
	return append(c.securityOptions(),
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.SoftwareNameAndVersion("smartlb", "1"),
		kgo.RetryTimeout(c.RequestTimeout),
		kgo.RequestTimeoutOverhead(min(c.RequestTimeout, brokerTimeout)),
		kgo.RetryBackoffFn(func(n int) time.Duration { return c.Retry.Delay(n-1, jitter()) }),
		kgo.MetadataMinAge(250*time.Millisecond), // a lost leader is noticed soon, without a storm of metadata requests
		kgo.MetadataMaxAge(time.Minute),
		kgo.DisableClientMetrics(),
		kgo.ConsiderMissingTopicDeletedAfter(3*time.Second),
	)
}

func (c Config) codec() kgo.CompressionCodec {
	switch c.Compression {
	case "none":
		return kgo.NoCompression()
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	default:
		return kgo.ZstdCompression()
	}
}

// fetchWait is how long a broker holds a fetch without data. New data ends the wait at once; a shorter wait only wakes
// both sides needlessly.
const fetchWait = 5 * time.Second

// readOptions bound the memory of a consuming client. Both offset options are always set: the library's default for the
// second rewinds one minute. smartlb writes nothing in transactions. Clients must read uncommitted records: another
// producer's open transaction would hide every later record of its partition for 15 minutes. Such records are drains,
// revisions and metrics.
func readOptions() []kgo.Opt {
	return append(inflate.New(maxDecompressedBytes, maxDecompressedBytes).Options(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.KeepControlRecords(), // positions advance over transaction markers; markers are not delivered
		kgo.KeepRetryableFetchErrors(),
		kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxBytes(16<<20),
		kgo.FetchMaxPartitionBytes(MaxBatchBytes),
		kgo.MaxConcurrentFetches(2),
	)
}
