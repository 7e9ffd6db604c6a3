// Package kafka publishes the reports of package report to Kafka, topic service-metrics.
//
// A Publisher never blocks the service. While brokers are unavailable it holds the newest reports up to a limit, and
// drops and counts the rest. It continues automatically when brokers are available again.
package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/telemetry/window"
	"github.com/smartlb/smartlb/report"
)

// Config has the addresses of the brokers and the settings of a Publisher.
type Config struct {
	Brokers  []string      // host:port of the bootstrap brokers; required
	ClientID string        // shown in broker logs; default smartlb-report
	Topic    string        // default service-metrics
	Buffer   int           // limit of reports held while they cannot be delivered; default 600
	Timeout  time.Duration // how long a report waits for delivery before it is dropped; default 10 s, because older reports are of little use
	Log      *slog.Logger  // receives problems with brokers; default: none

	Dial func(ctx context.Context, network, address string) (net.Conn, error) // opens a connection to a broker; default: TCP

	TLS   TLS   // default: not encrypted
	Login Login // default: none

	SigningKey SigningKey // signs the messages, for nodes with signing keys; default: none
}

// SigningKey is a key of signing.reporters or signing.keys of the nodes. An instance that registers itself at a service
// with discovery.kafka.requireSignature needs one.
type SigningKey struct {
	ID     string
	Secret string // at least 32 characters, without a line end
}

// ring returns nil without a key.
func (k SigningKey) ring() (*sign.Ring, error) {
	if k == (SigningKey{}) {
		return nil, nil
	}
	return sign.Config{Keys: []sign.Key{{ID: k.ID, Secret: "${env:SECRET}"}}}.Ring(func(string) string { return k.Secret }, nil)
}

// TLS configures encryption of connections to brokers. The files are PEM and are
// read again for each connection.
type TLS struct {
	Enabled    bool   // uses the system's CAs; setting any other field enables TLS too
	CA         string // file with the CAs that verify the brokers' certificates
	Cert, Key  string // files of a certificate and its key, for mutual TLS
	ServerName string // name in the brokers' certificates; default: the host in Brokers
}

// Login has the SASL credentials of the Publisher.
type Login struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; empty: no login
	User      string
	Password  string
	TokenFile string // OAUTHBEARER: a token file; another program must refresh the file
}

// security returns the settings of the inner client, which takes names of secrets,
// and a function that returns the secret for a name.
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

// Publisher sends reports to Kafka. Create it with NewPublisher.
type Publisher struct {
	topic    string
	producer *kafka.Producer
	signing  *sign.Ring // nil: no signatures
}

var (
	_ report.Publisher = (*Publisher)(nil)
	_ report.Announcer = (*Publisher)(nil)
)

// NewPublisher checks the configuration. It does not connect; the first report does.
func NewPublisher(cfg Config) (*Publisher, error) {
	k := kafka.Default()
	k.Brokers, k.Dial = cfg.Brokers, cfg.Dial
	k.Security, k.Getenv = cfg.security()
	k.ClientID = orDefault(cfg.ClientID, "smartlb-report")
	k.MaxBufferedRecords = orDefault(cfg.Buffer, 600)
	k.MaxBufferedBytes = max(k.MaxBufferedRecords*4096, int(k.BatchMaxBytes))
	k.DeliveryTimeout = orDefault(cfg.Timeout, 10*time.Second)
	signing, err := cfg.SigningKey.ring()
	if err != nil {
		return nil, fmt.Errorf("report to kafka: SigningKey: %w", err)
	}
	p, err := kafka.NewProducer(k, orDefault(cfg.Log, slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("report to kafka: %w", err)
	}
	return &Publisher{topic: orDefault(cfg.Topic, event.TopicServiceMetrics), producer: p, signing: signing}, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Publish queues a report and does not block.
func (p *Publisher) Publish(r *report.Report) {
	value, err := r.MarshalJSON()
	if err != nil {
		return // a number that JSON cannot represent: the span is empty
	}
	rec := kafka.Record{Topic: p.topic, Key: []byte(r.ServiceID), Value: value, Timestamp: r.Time}
	if sketch := sketchOf(r.Latencies); sketch != nil {
		rec.Headers = []kafka.Header{{Key: event.HeaderLatency, Value: sketch}}
	}
	p.send(rec)
}

// send queues a record with its signature.
func (p *Publisher) send(r kafka.Record) {
	if s := p.signing.Sign(r.Topic, r.Key, r.Value, r.Timestamp); s != nil {
		r.Headers = append(r.Headers, kafka.Header{Key: sign.Header, Value: s})
	}
	p.producer.Send(r)
}

// Announce queues a message on health-status: HEALTHY when the instance takes requests, DRAINING when it takes none. It does not block.
// The ACL of the service must permit it to write to that topic.
func (p *Publisher) Announce(a report.Announcement) {
	h := event.HealthStatus{Timestamp: a.Time.UTC().Truncate(time.Millisecond), ServiceID: a.ServiceID, InstanceID: a.InstanceID, Status: event.StatusHealthy, CheckType: "report", Address: a.Address}
	if a.Stops {
		h.Status = event.StatusDraining
	}
	value, err := h.Encode()
	if err != nil {
		return // not after report.New
	}
	p.send(kafka.Record{Topic: event.TopicHealthStatus, Key: []byte(a.ServiceID), Value: value, Timestamp: a.Time})
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

// fewBuckets is the limit of buckets in a sketch; buckets are most of a report's bytes. If the latencies spread over a
// factor of ten, 32 buckets are 7 % wide, finer than the proxies' buckets. The p95 of the message is within 1 %.
const fewBuckets = 32

// Stats counts reports.
type Stats struct {
	Published uint64            // accepted by Publish
	Delivered uint64            // acknowledged by the brokers
	Dropped   map[string]uint64 // dropped, by reason
}

// Stats returns the counts since the Publisher was created.
func (p *Publisher) Stats() Stats {
	t := p.producer.Stats().Topics[p.topic]
	return Stats{Published: t.Sent, Delivered: t.Delivered, Dropped: t.Dropped}
}

// Close delivers queued reports until ctx ends, and drops the rest.
func (p *Publisher) Close(ctx context.Context) error { return p.producer.Close(ctx) }
