// Package kafka publishes the reports of package report to Kafka, topic service-metrics.
//
// A Publisher never blocks the service. While brokers are away it holds the newest reports up to a bound, drops and
// counts the rest, and goes on by itself when they come back.
package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/window"
	"github.com/smartlb/smartlb/report"
)

// Config says where the brokers are.
type Config struct {
	Brokers  []string      // host:port of the first brokers to ask; required
	ClientID string        // shown in broker logs; default smartlb-report
	Topic    string        // default service-metrics
	Buffer   int           // reports held while they cannot be delivered; default 600
	Timeout  time.Duration // how long a report waits for delivery before it is dropped; default 10 s: older ones say little
	Log      *slog.Logger  // of trouble with brokers; default: none

	TLS   TLS   // default: not encrypted
	Login Login // default: none
}

// TLS says how connections to brokers are encrypted. Files are PEM and read
// again for each connection.
type TLS struct {
	Enabled    bool   // with the system's authorities; any other field switches it on as well
	CA         string // file of the authorities that brokers are checked against
	Cert, Key  string // files of a certificate and its key, for mutual TLS
	ServerName string // name in the brokers' certificates; default the host that is dialled
}

// Login says as whom reports are sent, by SASL.
type Login struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; empty: no login
	User      string
	Password  string
	TokenFile string // OAUTHBEARER: a file that somebody keeps fresh
}

// security gives the settings of the inner client, which takes names of secrets
// and asks for what they stand for.
func (c Config) security() (kafka.Security, func(string) string) {
	s := kafka.Security{
		TLS:  kafka.TLS{Enabled: c.TLS.Enabled, CA: c.TLS.CA, Cert: c.TLS.Cert, Key: c.TLS.Key, ServerName: c.TLS.ServerName},
		SASL: kafka.SASL{Mechanism: c.Login.Mechanism, User: c.Login.User, TokenFile: c.Login.TokenFile},
	}
	if c.Login.Password != "" {
		s.SASL.Password = "${env:PASSWORD}"
	}
	return s, func(string) string { return c.Login.Password }
}

// Publisher sends reports to Kafka. Make it with NewPublisher.
type Publisher struct {
	topic    string
	producer *kafka.Producer
}

var _ report.Publisher = (*Publisher)(nil)

// NewPublisher checks the configuration. It does not dial; the first report does.
func NewPublisher(cfg Config) (*Publisher, error) {
	k := kafka.Default()
	k.Brokers = cfg.Brokers
	k.Security, k.Getenv = cfg.security()
	k.ClientID = orDefault(cfg.ClientID, "smartlb-report")
	k.MaxBufferedRecords = orDefault(cfg.Buffer, 600)
	k.MaxBufferedBytes = max(k.MaxBufferedRecords*4096, int(k.BatchMaxBytes))
	k.DeliveryTimeout = orDefault(cfg.Timeout, 10*time.Second)
	p, err := kafka.NewProducer(k, orDefault(cfg.Log, slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("report to kafka: %w", err)
	}
	return &Publisher{topic: orDefault(cfg.Topic, event.TopicServiceMetrics), producer: p}, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Publish queues a report and returns at once.
func (p *Publisher) Publish(r *report.Report) {
	value, err := r.MarshalJSON()
	if err != nil {
		return // a number that JSON does not have: the span is empty
	}
	rec := kafka.Record{Topic: p.topic, Key: []byte(r.ServiceID), Value: value, Timestamp: r.Time}
	if sketch := sketchOf(r.Latencies); sketch != nil {
		rec.Headers = []kafka.Header{{Key: event.HeaderLatency, Value: sketch}}
	}
	p.producer.Send(rec)
}

func sketchOf(latencies []report.Bucket) []byte {
	if len(latencies) == 0 {
		return nil
	}
	k := window.NewSketch()
	for group := range slices.Chunk(latencies, 1+(len(latencies)-1)/fewBuckets) {
		var n, sum float64
		for _, b := range group {
			n, sum = n+float64(b.Count), sum+b.Ms*float64(b.Count)
		}
		k.AddCount(sum/n, n)
	}
	return k.Encode(nil)
}

// fewBuckets bounds the buckets of a sketch, which are most of a report's bytes. Of a spread of one to ten, 32 buckets
// are 7 % wide, finer than those of the proxies; the p95 of the message itself is within 1 %.
const fewBuckets = 32

// Stats counts reports.
type Stats struct {
	Published uint64            // taken by Publish
	Delivered uint64            // acknowledged by the brokers
	Dropped   map[string]uint64 // lost, by reason
}

// Stats returns the counts since the start.
func (p *Publisher) Stats() Stats {
	t := p.producer.Stats().Topics[p.topic]
	return Stats{Published: t.Sent, Delivered: t.Delivered, Dropped: t.Dropped}
}

// Close delivers what is queued until ctx ends, and drops the rest.
func (p *Publisher) Close(ctx context.Context) error { return p.producer.Close(ctx) }
