package nodes

import (
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

func statusOf(node string, roles ...string) kafka.Record {
	s := event.NodeStatus{Timestamp: time.Now().UTC(), Node: node, Roles: roles}
	return kafka.Record{Topic: event.TopicNodeStatus, Key: []byte(node), Value: s.AppendJSON(nil)}
}

func TestLiveNodesOfARole(t *testing.T) {
	w := NewWatchOf(kafka.Default(), time.Hour)
	w.Take([]kafka.Record{statusOf("b", event.RoleCollector), statusOf("a", event.RoleProxy, event.RoleCollector), statusOf("c", event.RoleProxy)})
	if got := w.Live(event.RoleCollector, "a"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
	gone := NewWatchOf(kafka.Default(), time.Nanosecond)
	gone.Take([]kafka.Record{statusOf("a", event.RoleCollector)})
	if got := gone.Live(event.RoleCollector, "a"); got != nil {
		t.Errorf("after its time: %v", got)
	}
}

// Any client may write the status of a node. It does not count for a node whose own status is signed.
func TestUnsignedNodesDoNotCountForASignedNode(t *testing.T) {
	w := NewWatch(kafka.Default())
	w.Take([]kafka.Record{statusOf("invented", event.RoleCollector)})
	now := time.Now()
	for _, node := range []string{"a", "b"} {
		w.book.take(statusOf(node, event.RoleCollector), sign.Verdict{State: sign.Signed, Key: "k"}, now)
		w.heard[node] = now
	}
	if got := w.Live(event.RoleCollector, "a"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("for a signed node: %v", got)
	}
	if got := w.Live(event.RoleCollector, "invented"); len(got) != 3 {
		t.Errorf("for a node without keys: %v", got)
	}
}
