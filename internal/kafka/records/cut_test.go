package records

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Retention that passes a reader is told; records that were in its hands
// already, and gaps of compaction, are not.
func TestAReaderSaysWhatWasDeletedBeforeIt(t *testing.T) {
	var said []string
	r := reader{
		spec: ConsumeSpec{Say: func(s string) { said = append(said, s) }},
		pos:  map[int32]extent{0: {from: 10, to: 100}}, left: 1, take: func(kafka.Record) error { return nil },
	}
	got := func(start int64, offsets ...int64) {
		p := kgo.FetchPartition{LogStartOffset: start}
		for _, o := range offsets {
			p.Records = append(p.Records, &kgo.Record{Offset: o})
		}
		if err := r.deliver(kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{p}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	got(0, 10, 11)
	got(15, 12, 13) // fetched before it was cut
	got(0, 20)      // compacted
	got(40)         // nothing yet
	if len(said) != 0 {
		t.Fatalf("it says %q", said)
	}
	got(40, 42, 43)
	if len(said) != 1 || said[0] != "partition 0: offsets 21 to 39 were deleted before they were read" {
		t.Errorf("it says %q", said)
	}
}
