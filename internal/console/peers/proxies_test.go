package peers

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

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
		{Node: "b", Roles: []string{event.RoleProxy}, AdminURL: "http://127.0.0.1:2"}, {Node: "a", Roles: []string{event.RoleProxy, event.RoleAnalyzer}, AdminURL: "http://127.0.0.1:1"},
		{Node: "c", Roles: []string{event.RoleConsole}, AdminURL: "http://127.0.0.1:3"},
	} {
		n.Timestamp = time.Now().UTC()
		if _, err := p.SendSync(t.Context(), kafka.Record{Topic: event.TopicNodeStatus, Key: []byte(n.Node), Value: n.AppendJSON(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	a, stranger := NewProxies(New(nil, ""), cfg, log), NewProxies(New(nil, ""), cfg, log)
	for _, kafkaIs := range []string{"there", "away"} {
		nodes, err := a.find(t.Context())
		if err != nil || len(nodes) != 2 || nodes[0].Node != "a" || nodes[1].Node != "b" {
			t.Errorf("Kafka is %s: %+v %v", kafkaIs, nodes, err)
		}
		c.Stop()
	}
	if _, err := stranger.find(t.Context()); problem.CodeOf(err) != problem.Unavailable || !strings.Contains(err.Error(), "Kafka is unavailable") {
		t.Errorf("who never found one: %v", err)
	}
}
