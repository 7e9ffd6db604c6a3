package alerts

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// A book has the alerts that a known key signed; any other record only leaves a note.
func TestTheBookFollowsWhatIsSigned(t *testing.T) {
	k := kafkatest.New(t, event.TopicAlerts)
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{k.Addr()}, 0
	quiet := slog.New(slog.DiscardHandler)
	keys, err := sign.Config{Keys: []sign.Key{{ID: "a", Secret: "${env:K}"}}}.Ring(func(string) string { return strings.Repeat("s", 32) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	send := func(ring *sign.Ring, values ...[]byte) {
		with := cfg
		with.Signing = ring
		p, err := kafka.NewProducer(with, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close(t.Context()) }()
		for _, v := range values {
			if _, err := p.SendSync(t.Context(), kafka.Record{Topic: event.TopicAlerts, Value: v}); err != nil {
				t.Fatal(err)
			}
		}
	}
	now := time.Now()
	forged, ours := alertAt("forged", event.AlertFiring, 1, now), alertAt("ours", event.AlertFiring, 1, now)
	send(nil, forged.AppendJSON(nil), []byte("nonsense"))
	send(keys, ours.AppendJSON(nil))

	b := New()
	if b.Connected() {
		t.Error("connected before it follows")
	}
	following := cfg
	following.Signing, following.Skips = keys, &kafka.Skips{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Follow(ctx, following, quiet) }()
	for end := time.Now().Add(2 * time.Minute); len(b.Active()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no alert came")
		}
	}
	if !b.Connected() {
		t.Error("not connected while it reads")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := b.Active(); len(got) != 1 || got[0].Labels["id"] != "ours" {
		t.Errorf("active %+v", got)
	}
	if got := b.UnsignedTopics(); !slices.Equal(got, []string{event.TopicAlerts}) || following.Skips.Counts()[event.TopicAlerts] != 1 {
		t.Errorf("unsigned topics %q, skipped %v", got, following.Skips.Counts())
	}
}
