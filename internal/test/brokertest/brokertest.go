// Package brokertest provides the embedded broker in the test process, with the guards that package kafkatest leaves out,
// and the few steps that most tests of topics and records begin with.
package brokertest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/broker"
)

// New starts an embedded broker and returns a configuration and a client for it. The broker ends with the test.
func New(t testing.TB) (kafka.Config, *kafka.Admin) {
	t.Helper()
	bc := broker.Default()
	bc.Dir, bc.External, bc.Internal = t.TempDir(), "127.0.0.1:0", ""
	b, err := broker.New(bc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{b.Addr()}, 0
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return cfg, client
}

// Catalog returns the catalog of topics.
func Catalog(t testing.TB) topic.Catalog {
	t.Helper()
	c, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Create creates a topic with one replica.
func Create(t testing.TB, client *kafka.Admin, name string, partitions int32, configs map[string]string) {
	t.Helper()
	if err := admin.CreateTopic(context.Background(), client, admin.NewTopic{Name: name, Partitions: partitions, Replicas: 1, Configs: configs}, false); err != nil {
		t.Fatal(err)
	}
}

// Send sends values, one after the other, with a different key each, so that they spread over the partitions. Their
// timestamps are one second apart and begin an hour ago.
func Send(t testing.TB, cfg kafka.Config, name string, values ...string) {
	t.Helper()
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close(t.Context()) }() // SendSync has waited for each record
	began := time.Now().Add(-time.Hour)
	for i, v := range values {
		if _, err := p.SendSync(t.Context(), kafka.Record{Topic: name, Key: fmt.Append(nil, i), Value: []byte(v), Timestamp: began.Add(time.Duration(i) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Ship sends records with a records.Sender.
func Ship(t testing.TB, cfg kafka.Config, spec records.ProduceSpec, list ...kafka.Record) records.Sent {
	t.Helper()
	s, err := records.NewSender(context.Background(), cfg, spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if err := s.Send(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	sent, err := s.Close(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// Position parses a position.
func Position(t testing.TB, text string) *admin.Position {
	t.Helper()
	p, err := admin.ParsePosition(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &p
}
