package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// Lines that end where the reader's buffer does, and events in pieces, come out
// whole and one by one.
func TestEventsArePassedOnWhole(t *testing.T) {
	var want []string
	for _, n := range []int{1, 10, 64<<10 - 7, 64<<10 - 6, 64<<10 - 5, 128<<10 - 6, 300_000} {
		want = append(want, "event: e\ndata: "+strings.Repeat("x", n)+"\n\n")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Accept-Encoding") != "identity" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		all := strings.Join(want, "")
		for len(all) > 0 {
			n := min(len(all), 10_007)
			fmt.Fprint(w, all[:n])
			all = all[n:]
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	node := LiveNode{NodeStatus: event.NodeStatus{AdminURL: "http://lb-2.example.com:8081"}, Key: "k"}
	with, without := peersAt(t, server, nil, "secret"), peersAt(t, server, nil, "")
	defer with.client.CloseIdleConnections()
	defer without.client.CloseIdleConnections()
	var got []string
	begun, err := with.passOn(t.Context(), node, "/", func(e []byte) error { got = append(got, string(e)); return nil })
	if !begun || err != nil || len(got) != len(want) {
		t.Fatalf("%d events, begun %v, %v", len(got), begun, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
	gone := errors.New("the page is gone")
	if begun, err := with.passOn(t.Context(), node, "/", func([]byte) error { return gone }); !begun || !errors.Is(err, gone) {
		t.Errorf("%v %v", begun, err)
	}
	if begun, err := without.passOn(t.Context(), node, "/", func([]byte) error { return nil }); begun || !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("without the token: %v %v", begun, err)
	}
	server.Close()
	if begun, err := with.passOn(t.Context(), node, "/", func([]byte) error { return nil }); begun || !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("nobody there: %v %v", begun, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if begun, err := with.passOn(ctx, node, "/", func([]byte) error { return nil }); begun || err == nil {
		t.Errorf("ended: %v %v", begun, err)
	}
}

func alertAt(id string, status string, seq uint64, at time.Time) event.Alert {
	labels := map[string]string{"id": id}
	return event.Alert{Fingerprint: rule.Fingerprint("r", labels), AlertID: id + "/1", RuleID: "r", Labels: labels, Status: status, Severity: event.SeverityWarning, StartsAt: at, UpdatedAt: at, Seq: seq}
}

func TestTheAlertBookKnowsWhatIsActiveAndWhatWas(t *testing.T) {
	b, now := newAlertBook(), time.Now()
	b.take(alertAt("a", event.AlertPending, 1, now.Add(-time.Minute)))
	b.take(alertAt("b", event.AlertFiring, 1, now.Add(-time.Hour)))
	b.take(alertAt("c", event.AlertFiring, 1, now.Add(-48*time.Hour))) // of an analyzer that is gone
	b.take(alertAt("b", event.AlertPending, 0, now))                   // repeated by one that took over
	if got := b.active(); len(got) != 2 || got[0].Labels["id"] != "b" || got[1].Labels["id"] != "a" {
		t.Errorf("active %+v", got)
	}
	b.take(alertAt("b", event.AlertResolved, 2, now))
	b.take(alertAt("b", event.AlertResolved, 3, now)) // said again
	if got := b.past(); len(got) != 1 || got[0].Seq != 3 || len(b.active()) != 1 {
		t.Errorf("past %+v", got)
	}
	for i := range maxResolved + 10 {
		b.take(alertAt(fmt.Sprint(i), event.AlertResolved, 1, now.Add(time.Duration(i-maxResolved-10)*time.Millisecond)))
	}
	if got := b.past(); len(got) != maxResolved || got[0].Labels["id"] != fmt.Sprint(maxResolved+9) {
		t.Errorf("%d are remembered, the newest %v", len(got), got[0].Labels)
	}
	silences := []configlog.Silence{{Silence: event.Silence{ID: "s", RuleID: "r", EndsAt: now.Add(time.Hour)}}}
	list := silenced(append(b.active(), b.past()[:1]...), silences)
	if list[0].Silence == nil || list[1].Silence != nil {
		t.Errorf("an active alert is silenced, one that is over is not: %+v", list)
	}
}

// 60,000 alerts of a stranger must neither be listed whole nor take the room of
// alerts about configured instances, and one of 2099 must not stay for ever.
func TestForeignAlertsAreBounded(t *testing.T) {
	b, now := newAlertBook(), time.Now()
	b.configured = func(service, instance string) bool { return service == "s" && instance == "i" }
	down := func(service, instance string, seq uint64, at time.Time) event.Alert {
		a := alertAt("", event.AlertFiring, seq, at)
		a.RuleID, a.Labels = rule.InstanceDown.ID, map[string]string{"service": service, "instance": instance}
		a.Fingerprint = rule.Fingerprint(a.RuleID, a.Labels)
		return a
	}
	for i := range 60_000 {
		b.take(down("s", fmt.Sprint("invented-", i), 1, now))
	}
	b.take(down("s", "i", 1, now))
	if n := len(b.active()); n > maxListed || len(b.others) > maxOthers || len(b.alerts) != 1 {
		t.Errorf("%d listed, %d of others, %d of configured instances", n, len(b.others), len(b.alerts))
	}
	if _, ok := b.alerts[down("s", "i", 1, now).Fingerprint]; !ok {
		t.Error("the alert of a configured instance has no room")
	}
	b = newAlertBook()
	of2099, far, stolen := down("s", "i", 5, now.AddDate(73, 0, 0)), down("s", "i", math.MaxUint64, now), down("s", "j", 9, now)
	stolen.Fingerprint = down("s", "i", 1, now).Fingerprint
	for _, a := range []event.Alert{of2099, far, stolen} {
		b.take(a)
	}
	if got := b.active(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	b.take(down("s", "i", uint64(now.UnixMilli()), now))
	if got := b.active(); len(got) != 1 || got[0].Labels["instance"] != "i" {
		t.Errorf("%+v", got)
	}
}

// A console that knows its proxies finds them without Kafka too; one that never
// did says what is missing.
func TestProxiesAreKnownWhileKafkaIsAway(t *testing.T) {
	c := kafkatest.New(t, event.TopicNodeStatus)
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{c.Addr()}, 0
	log := slog.New(slog.DiscardHandler)
	p, err := kafka.NewProducer(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close(t.Context()) }()
	for _, n := range []event.NodeStatus{
		{Node: "b", Roles: []string{RoleProxy}, AdminURL: "http://127.0.0.1:2"}, {Node: "a", Roles: []string{RoleProxy, RoleAnalyzer}, AdminURL: "http://127.0.0.1:1"},
		{Node: "c", Roles: []string{RoleConsole}, AdminURL: "http://127.0.0.1:3"},
	} {
		n.Timestamp = time.Now().UTC()
		if _, err := p.SendSync(t.Context(), kafka.Record{Topic: event.TopicNodeStatus, Key: []byte(n.Node), Value: n.AppendJSON(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	a, stranger := &App{kafka: cfg, peers: newPeers(nil, ""), o: Options{Log: log}}, &App{kafka: cfg, peers: newPeers(nil, ""), o: Options{Log: log}}
	for _, kafkaIs := range []string{"there", "away"} {
		nodes, err := a.proxies(t.Context())
		if err != nil || len(nodes) != 2 || nodes[0].Node != "a" || nodes[1].Node != "b" {
			t.Errorf("Kafka is %s: %+v %v", kafkaIs, nodes, err)
		}
		c.Stop()
	}
	if _, err := stranger.proxies(t.Context()); !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "Kafka does not answer") {
		t.Errorf("who never found one: %v", err)
	}
}
