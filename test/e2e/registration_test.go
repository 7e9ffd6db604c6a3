package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/report"
	"github.com/smartlb/smartlb/report/kafka"
)

// selfMade is an instance that registers itself with package report.
type selfMade struct {
	addr string
	stop func() // says goodbye, then ends
	kill func() // ends without a word
}

func startSelfMade(t *testing.T, broker, id string) *selfMade {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, id) })}
	go s.Serve(l)
	p, err := kafka.NewPublisher(kafka.Config{Brokers: []string{broker}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.New(report.Config{ServiceID: "s", InstanceID: id, Address: l.Addr().String(), Publisher: p, Interval: 500 * time.Millisecond, Steady: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var ended atomic.Bool
	end := func(limit time.Duration, wait time.Duration) {
		if !ended.CompareAndSwap(false, true) {
			return
		}
		closing, stop := context.WithTimeout(context.Background(), limit)
		defer stop()
		if limit == 0 { // nothing more is delivered
			_ = p.Close(closing)
			cancel()
			_ = s.Close()
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := p.Close(closing); err != nil {
			t.Error(err)
		}
		time.Sleep(wait)
		_ = s.Close()
	}
	in := &selfMade{addr: l.Addr().String(), stop: func() { end(time.Minute, time.Second) }, kill: func() { end(0, 0) }}
	t.Cleanup(in.kill)
	return in
}

// rolled is an instance of a rolling restart.
type rolled struct {
	id             string
	goodbye, close func()
}

// roll starts an instance that registers itself through a publisher that it shares.
func roll(t *testing.T, p report.Publisher, id string) *rolled {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, id) }))
	r, err := report.New(report.Config{ServiceID: "s", InstanceID: id, Address: s.Listener.Addr().String(), Publisher: p, Interval: 500 * time.Millisecond, Steady: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	goodbye := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { goodbye(); s.Close() })
	return &rolled{id, goodbye, s.Close}
}

// TestInstancesRegisterThemselves: instances that report with their address get requests, one that says goodbye or dies leaves, a rolling restart
// of 40 costs no request, and those that may not register do not. Requests do not fail, and a Kafka that hangs or is down empties nothing.
func TestInstancesRegisterThemselves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := broker(t, dir, "127.0.0.1:0")
	kafkaAddr := b.Address("broker")
	secret := sign.NewSecret()
	file := mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: r, service: s}]
services:
  - {id: s, retryBudget: {min: 10}, discovery: {kafka: {ports: [1024-65535]}, allow: [127.0.0.0/8], maxLoss: 1, staleAfter: 2s}} # all four clients may meet the instance that dies
  - {id: signed, discovery: {kafka: {ports: [1024-65535], requireSignature: true}, allow: [127.0.0.0/8], maxLoss: 1}}
signing:
  keys: [{id: k1, secret: "${file:`+mustWrite(t, sign.NewSecret())+`}"}]
  reporters: [{id: team, secret: "${file:`+mustWrite(t, secret)+`}", services: [signed]}]
`)
	first := []*selfMade{startSelfMade(t, kafkaAddr, "i1"), startSelfMade(t, kafkaAddr, "i2")}
	n := node(t, kafkaAddr, file, t.TempDir())
	ids := func() (all []string) {
		for _, in := range sourcesOf(t, n).Services[0].Instances {
			all = append(all, in.ID)
		}
		slices.Sort(all)
		return all
	}
	await := func(want ...string) {
		t.Helper()
		eventually(t, "the instances "+strings.Join(want, " "), func() bool { return slices.Equal(ids(), want) })
	}
	await("i1", "i2")
	l := startLoad(t, "http://"+n.Address("web")+"/", 4)
	startSelfMade(t, kafkaAddr, "i3")
	await("i1", "i2", "i3")
	now := func() string { return time.Now().UTC().Format(time.RFC3339) }
	produce(t, kafkaAddr, "service-metrics", fmt.Sprintf(`{"timestamp": %q, "serviceId": "s", "instanceId": "thief", "address": "10.0.0.1:8080", "metrics": {"rps": 1}}`, now()))
	produce(t, kafkaAddr, "service-metrics", fmt.Sprintf(`{"timestamp": %q, "serviceId": "s", "instanceId": "i1", "address": "127.0.0.1:2000", "metrics": {"rps": 1}}`, now()))
	eventually(t, "two refusals", func() bool {
		out, _, _ := smartlb(t, "discovery", "--admin", n.Address("admin"))
		return strings.Contains(out, "refused 2 times: instance \"i1\" with the address \"127.0.0.1:2000\": it reports with the address "+first[0].addr)
	})
	for _, junk := range []string{"", "{", "null", `{"timestamp": "x", "serviceId": "s", "instanceId": "i2", "address": 7}`} { // no message of an instance
		produce(t, kafkaAddr, "service-metrics", junk)
		produce(t, kafkaAddr, "health-status", junk)
	}
	registersSigned(t, n, kafkaAddr, secret)
	first[0].stop()
	await("i2", "i3")
	first[1].kill()
	await("i3")

	// A rolling restart of 40 instances, ten at a time. Those that leave end when the node knows that they left.
	publisher, err := kafka.NewPublisher(kafka.Config{Brokers: []string{kafkaAddr}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		_ = publisher.Close(ctx)
	}()
	var before []*rolled
	for round := range 5 {
		want := []string{"i3"}
		var next []*rolled
		for k := range 10 {
			if round < 4 { // the last round only ends the others
				next = append(next, roll(t, publisher, fmt.Sprintf("r%d-%d", round, k)))
				want = append(want, next[k].id)
			}
		}
		eventually(t, "the new instances", func() bool {
			have := ids()
			return !slices.ContainsFunc(want, func(id string) bool { return !slices.Contains(have, id) })
		})
		for _, in := range before {
			in.goodbye()
		}
		await(want...)
		for _, in := range before {
			in.close()
		}
		before = next
	}
	// What Kafka brings cannot tell that Kafka is down: the metrics do.
	source := func() (failure string, stale bool) {
		v := sourcesOf(t, n)
		if len(v.Services[0].Instances) != 1 {
			t.Errorf("%d instances, want 1", len(v.Services[0].Instances))
		}
		return v.Services[0].Discovery.Sources[0].Error, strings.Contains(scrape(t, n.Address("admin")), `smartlb_discovery_stale{service="s",source="kafka"} 1`)
	}
	fails := func() bool {
		failure, stale := source()
		return stale && strings.Contains(failure, "Kafka cannot be reached")
	}
	if err := b.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a source that is stale while Kafka hangs", fails)
	if err := b.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a source that works again", func() bool {
		failure, stale := source()
		return failure == "" && !stale
	})
	b.stop(syscall.SIGTERM)
	eventually(t, "a source that is stale without Kafka", fails)
	l.stop()
	l.none(t)
}

// registersSigned: where a service requires signatures, an instance with a key of the service joins, drains, returns and leaves. One
// without is refused, and the node says why.
func registersSigned(t *testing.T, n *process, broker, secret string) {
	t.Helper()
	p, err := kafka.NewPublisher(kafka.Config{Brokers: []string{broker}, SigningKey: kafka.SigningKey{ID: "team", Secret: secret}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.New(report.Config{ServiceID: "signed", InstanceID: "g1", Address: "127.0.0.1:4713", Publisher: p, Interval: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	goodbye := sync.OnceFunc(func() {
		cancel()
		limited, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		if err := errors.Join(<-done, p.Close(limited)); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(goodbye)
	produce(t, broker, "service-metrics", fmt.Sprintf(`{"timestamp": %q, "serviceId": "signed", "instanceId": "stranger", "address": "127.0.0.1:4714", "metrics": {"rps": 1}}`, time.Now().UTC().Format(time.RFC3339)))
	state := func() string {
		all := ""
		for _, in := range sourcesOf(t, n).Services[1].Instances {
			all += in.ID + " " + in.State + ";"
		}
		return all
	}
	await := func(ok func(string) bool) {
		t.Helper()
		last := ""
		eventually(t, "a state of the signed instance", func() bool { last = state(); return ok(last) })
	}
	await(func(s string) bool { return strings.HasPrefix(s, "g1 ") && !strings.Contains(s, "draining") })
	eventually(t, "the refusal of a message without a signature", func() bool {
		out, _, _ := smartlb(t, "discovery", "--admin", n.Address("admin"))
		return strings.Contains(out, `instance "stranger": no key for the service signed its message, and requireSignature is true`)
	})
	r.Drain(true)
	await(func(s string) bool { return s == "g1 draining;" })
	r.Drain(false)
	await(func(s string) bool { return strings.HasPrefix(s, "g1 ") && !strings.Contains(s, "draining") })
	goodbye()
	await(func(s string) bool { return s == "" || s == "g1 draining;" })
}
