package nodes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

func TestTheBookOfNodesIsBoundedAndBelievesNoFuture(t *testing.T) {
	now := time.Now()
	status := func(node string, at time.Time, admin string) kafka.Record {
		s := event.NodeStatus{Timestamp: at.UTC(), Node: node, Roles: []string{event.RoleProxy}, AdminURL: admin, ConsoleURL: "javascript:alert(1)"}
		return kafka.Record{Topic: event.TopicNodeStatus, Value: s.AppendJSON(nil)}
	}
	unsigned, signed := sign.Verdict{State: sign.Unsigned}, sign.Verdict{State: sign.Signed, Key: "k"}
	find := func(b *book, node string) Node {
		for _, n := range b.list() {
			if n.Node == node {
				return n
			}
		}
		return Node{}
	}
	b := newBook()
	b.take(status("real", now, "http://10.0.0.1:8081"), unsigned, now)
	b.take(status("old", now.Add(-time.Minute), ""), unsigned, now)
	b.take(status("of 2099", now.AddDate(73, 0, 0), "http://evil.example"), unsigned, now)
	b.take(status("script", now, "javascript:alert(1)"), unsigned, now)
	b.take(status("forged", now, ""), sign.Verdict{State: sign.Bad}, now)
	b.take(kafka.Record{Value: []byte("{")}, unsigned, now)
	if len(b.list()) != 2 || find(b, "real").AdminURL != "http://10.0.0.1:8081" || find(b, "script").AdminURL != "" || find(b, "real").ConsoleURL != "" {
		t.Errorf("%+v", b.list())
	}
	for i := range 3 * maxNodes {
		b.take(status(fmt.Sprint("n", i), now, ""), unsigned, now)
	}
	b.take(status("vouched", now, "http://10.0.0.3:8081"), signed, now)
	b.take(status("vouched", now, "http://evil.example"), unsigned, now)
	b.take(status("real", now, "http://10.0.0.2:8081"), unsigned, now)
	if n := len(b.list()); n != maxNodes+1 || find(b, "real").AdminURL != "http://10.0.0.2:8081" {
		t.Errorf("%d nodes, %+v", n, find(b, "real"))
	}
	if n := find(b, "vouched"); n.AdminURL != "http://10.0.0.3:8081" || n.Key != "k" {
		t.Errorf("an unsigned status stands over a signed one: %+v", n)
	}
}

// A thousand statuses of megabytes each took gigabytes.
func TestTheTextsOfNodesAreBounded(t *testing.T) {
	now, b := time.Now(), newBook()
	take := func(node string, size int, by sign.State) {
		s := event.NodeStatus{Timestamp: now.UTC(), Node: node, Roles: []string{event.RoleProxy}, Errors: []string{strings.Repeat("B", size)}}
		b.take(kafka.Record{Topic: event.TopicNodeStatus, Value: s.AppendJSON(nil)}, sign.Verdict{State: by, Key: "k"}, now)
	}
	take("real", 100, sign.Unsigned)
	take("large", maxStatus, sign.Unsigned)
	for range 2 { // the second time each takes the room of its first
		for i := range 100 {
			take(fmt.Sprint("n", i), maxStatus/2, sign.Unsigned)
		}
	}
	take("real", 200, sign.Unsigned)
	take("vouched", maxStatus/2, sign.Signed)
	kept, names := 0, map[string]int{}
	for _, n := range b.list() {
		names[n.Node] = len(n.Errors[0])
		kept += len(n.Errors[0])
	}
	if kept > maxStatuses+maxStatus || len(names) < 60 || names["real"] == 0 || names["large"] > 0 || names["vouched"] == 0 {
		t.Errorf("%d bytes of %d nodes are kept; real: %d", kept, len(names), names["real"])
	}
}
