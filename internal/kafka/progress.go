package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Progress says how far a reader is behind in a topic.
type Progress struct {
	Lag    int64     // records that are in the log and were not handled, by the latest answer of the broker
	Latest time.Time // of a Tail: the latest timestamp of a record that was handled; zero: there was none
}

// Progress returns the progress in each topic that exists.
func (t *Tail) Progress() map[string]Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := lags(t.positions, t.ends)
	for topic, p := range out {
		p.Latest = t.latest[topic]
		out[topic] = p
	}
	return out
}

// Progress returns the progress in each topic of which this member has partitions.
func (g *Group) Progress() map[string]Progress {
	g.mu.Lock()
	defer g.mu.Unlock()
	return lags(g.next, g.ends)
}

// lags sums the lags of partitions by topic.
func lags(next, ends map[TopicPartition]int64) map[string]Progress {
	out := map[string]Progress{}
	for tp, end := range ends {
		p := out[tp.Topic]
		p.Lag += max(0, end-next[tp])
		out[tp.Topic] = p
	}
	return out
}

// noteEnds records where the logs of fetched partitions end.
func noteEnds(fetches kgo.Fetches, ends map[TopicPartition]int64) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if p.HighWatermark > 0 {
			ends[TopicPartition{p.Topic, p.Partition}] = p.HighWatermark
		}
	})
}

// note records the ends of partitions and the timestamps of records. The caller holds the lock.
func (t *Tail) note(fetches kgo.Fetches, latest map[string]time.Time) {
	noteEnds(fetches, t.ends)
	for topic, at := range latest {
		if at.After(t.latest[topic]) {
			t.latest[topic] = at
		}
	}
}

// note records what was handled, and the ends of partitions.
func (g *Group) note(fetches kgo.Fetches) {
	g.mu.Lock()
	defer g.mu.Unlock()
	noteEnds(fetches, g.ends)
	fetches.EachRecord(func(r *kgo.Record) { g.next[TopicPartition{r.Topic, r.Partition}] = r.Offset + 1 })
}

// begin records where an assigned partition begins.
func (g *Group) begin(tp TopicPartition, at, end int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next[tp], g.ends[tp] = at, end
}

// forget drops partitions that this member no longer has.
func (g *Group) forget(partitions []TopicPartition) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tp := range partitions {
		delete(g.next, tp)
		delete(g.ends, tp)
	}
}
