package app

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Any client can append a signed record again: the signature counts once,
// within a minute, and for the services of its key. Else the message counts as
// one without a signature, which takes out no more than may be ejected.
func TestASignedHealthStatusCountsOnceAndForItsServices(t *testing.T) {
	secret := func(name string) string { return strings.Repeat(name, 32) }
	ring := func(c sign.Config) *sign.Ring {
		r, err := c.Ring(secret, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	team := sign.Key{ID: "shop-team", Secret: "${env:T}"}
	byTeam := ring(sign.Config{Keys: []sign.Key{team}})
	message := func(service, instance string, at time.Time) kafka.Record {
		v, err := event.HealthStatus{Timestamp: at, ServiceID: service, InstanceID: instance, Status: event.StatusDraining, CheckType: "HTTP"}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		key := []byte(service)
		return kafka.Record{
			Topic: event.TopicHealthStatus, Key: key, Value: v, Timestamp: time.Now(),
			Headers: []kafka.Header{{Key: sign.Header, Value: byTeam.Sign(event.TopicHealthStatus, key, v, at)}, {Key: event.HeaderReporter, Value: []byte("deploy/shop")}},
		}
	}
	for _, c := range []struct {
		name    string
		service string
		at      time.Duration // when the messages were signed, from now
		twice   bool
		signed  int // instances with a report that counts as signed
		skipped uint64
	}{
		{"of its service", "shop", 0, false, 2, 0},
		{"of another service", "bank", 0, false, 0, 0},
		{"appended again", "shop", -20 * time.Second, true, 2, 2},
		{"appended again a day later", "shop", -24 * time.Hour, false, 0, 0},
		{"dated ahead", "shop", time.Hour, false, 0, 0},
	} {
		start := time.Now()
		a := &App{
			kafka: kafka.Config{
				Signing: ring(sign.Config{Keys: []sign.Key{{ID: "k1", Secret: "${env:N}"}}, Reporters: []sign.Reporter{{Key: team, Services: []string{"shop"}}}}),
				Skips:   &kafka.Skips{},
			},
			o: Options{Log: slog.New(slog.DiscardHandler)},
			data: &dataPlane{keeper: keeper.New(keeper.Config{
				Now: func() int64 { return int64(time.Since(start)) + 1e9 }, Wall: time.Now, Reporter: "proxy/self",
				OnChange: func(keeper.Change) {}, Log: slog.New(slog.DiscardHandler),
			})},
		}
		a.data.keeper.Apply([]config.Service{{ID: c.service, Policy: "least_request", Instances: []config.Instance{
			{ID: "i1", Address: "10.0.0.1:80", Weight: 1}, {ID: "i2", Address: "10.0.0.2:80", Weight: 1}, {ID: "i3", Address: "10.0.0.3:80", Weight: 1},
		}}})
		for _, instance := range []string{"i1", "i2"} {
			r := message(c.service, instance, time.Now().Add(c.at))
			a.fact(r)
			if c.twice {
				a.fact(r)
			}
		}
		signed := 0
		for _, i := range a.data.keeper.Views()[0].Instances {
			if slices.ContainsFunc(i.Reports, func(r keeper.ReportView) bool { return r.Signed }) {
				signed++
			}
		}
		if signed != c.signed {
			t.Errorf("%s: %d instances have a signed report, want %d", c.name, signed, c.signed)
		}
		if got := a.kafka.Skips.Counts()[event.TopicHealthStatus]; got != c.skipped {
			t.Errorf("%s: %d skipped, want %d", c.name, got, c.skipped)
		}
	}
}
