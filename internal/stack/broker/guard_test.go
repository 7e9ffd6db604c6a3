package broker

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// everything is a table that lets all known requests through, in all versions.
func everything() versions {
	v := versions{}
	for key := range int16(kmsg.MaxKey + 1) {
		if r := kmsg.RequestForKey(key); r != nil {
			v[key] = [2]int16{0, r.MaxVersion()}
		}
	}
	return v
}

func FuzzGuard(f *testing.F) {
	add := func(r kmsg.Request, version int16) {
		r.SetVersion(version)
		f.Add(kmsg.NewRequestFormatter(kmsg.FormatterClientID("c")).AppendRequest(nil, r, 1)[4:])
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic = "a"
	create.Topics = append(create.Topics, topic)
	produce := kmsg.NewPtrProduceRequest()
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = "a"
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Records = make([]byte, batchHead)
	pt.Partitions = append(pt.Partitions, pp)
	produce.Topics = append(produce.Topics, pt)
	for _, version := range []int16{3, 7, 9, 12} {
		add(produce, version)
	}
	for _, version := range []int16{0, 4, 7} {
		add(create, version)
	}
	add(kmsg.NewPtrMetadataRequest(), 9)
	add(kmsg.NewPtrApiVersionsRequest(), 3)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	known := everything()
	f.Fuzz(func(t *testing.T, frame []byte) {
		req, err := known.parse(frame)
		if err != nil {
			return
		}
		// What passes can be read again after it was written anew, and means
		// the same: the second writing equals the first.
		once := req.frame()
		if got := int(binary.BigEndian.Uint32(once)); got != len(once)-4 {
			t.Fatalf("length says %d, frame has %d", got, len(once)-4)
		}
		again, err := known.parse(once[4:])
		if err != nil {
			t.Fatalf("a frame that passed does not pass again: %v", err)
		}
		if string(again.frame()) != string(once) {
			t.Fatal("a frame changes when it is written twice")
		}
	})
}

func TestExpireNeverDeletesWhatMustStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		spans, marks := map[partition]span{}, map[partition][]mark{}
		for i := range rapid.IntRange(1, 5).Draw(t, "partitions") {
			p := partition{"t", int32(i)}
			start := rapid.Int64Range(0, 1000).Draw(t, "start")
			s := span{
				Start: start, End: start + rapid.Int64Range(0, 1000).Draw(t, "records"),
				Keep:      time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "keep")),
				KeepBytes: rapid.Int64Range(-1, 100_000).Draw(t, "keepBytes"),
			}
			s.Bytes = (s.End - s.Start) * rapid.Int64Range(0, 1000).Draw(t, "size")
			at, end := now.Add(-2*time.Hour), start
			for range rapid.IntRange(0, 5).Draw(t, "marks") {
				at = at.Add(time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "gap")))
				end = min(end+rapid.Int64Range(0, 300).Draw(t, "grown"), s.End)
				marks[p] = append(marks[p], mark{at, end})
			}
			spans[p] = s
		}
		limit := rapid.Int64Range(0, 1_000_000).Draw(t, "limit")
		for p, start := range expire(spans, marks, limit, now) {
			s := spans[p]
			switch {
			case s.Keep < 0:
				t.Fatalf("%v is kept for ever but starts at %d", p, start)
			case start <= s.Start || start >= s.End:
				t.Fatalf("%v spans %d to %d and is to start at %d", p, s.Start, s.End, start)
			}
		}
	})
}

func TestExpireReachesTheLimitWhereItCan(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	spans := map[partition]span{
		{"a", 0}:      {Start: 0, End: 1000, Bytes: 1000 << 10, Keep: time.Hour, KeepBytes: -1},
		{"b", 0}:      {Start: 0, End: 100, Bytes: 100 << 10, Keep: time.Hour, KeepBytes: -1},
		{"config", 0}: {Start: 0, End: 100, Bytes: 100 << 10, Keep: -1, KeepBytes: -1},
	}
	cut := expire(spans, nil, 700<<10, now)
	if len(cut) != 1 || cut[partition{"a", 0}] < 500 || cut[partition{"a", 0}] > 502 {
		t.Errorf("cut %v, want half of a and nothing else", cut)
	}
}

func TestMarksAreFewAndFollowTheLog(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var marks []mark
	for i := range 100_000 {
		at := now.Add(time.Duration(i) * time.Minute)
		marks = remark(marks, span{Start: max(0, int64(i)-10_080), End: int64(i + 1), Keep: 7 * 24 * time.Hour}, at, time.Minute)
	}
	if len(marks) > marksPerRetention+2 {
		t.Errorf("%d marks for a week, want about %d", len(marks), marksPerRetention)
	}
	if got := remark(marks, span{End: 3, Keep: time.Hour}, now, time.Minute); len(got) != 1 || got[0].End != 3 {
		t.Errorf("marks %v survive a log that is shorter than they are", got)
	}
}

func TestCountsOfTagsThatLieAreRefusedAtOnce(t *testing.T) {
	known := everything()
	frame := func(_ int16, req kmsg.Request, tags []byte, cut int) []byte {
		req.SetVersion(req.MaxVersion())
		raw := kmsg.NewRequestFormatter(kmsg.FormatterClientID("c")).AppendRequest(nil, req, 1)[4:]
		return append(raw[:len(raw)-cut], tags...)
	}
	lies := [][]byte{{0xff, 0xff, 0xff, 0xff, 0x0f}, {0x80, 0x80, 0x80, 0x80, 0x01}, {0xff, 0xff, 0xff, 0x7f}}
	for key := range int16(kmsg.MaxKey + 1) {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		if req.SetVersion(req.MaxVersion()); !req.IsFlexible() {
			continue
		}
		if _, err := known.parse(frame(key, req, nil, 0)); err != nil && key != keyProduce && known[key][1] > 0 {
			t.Errorf("key %d: an honest request is refused: %v", key, err)
		}
		for _, lie := range lies {
			if _, err := known.parse(frame(key, req, lie, 1)); err == nil {
				t.Errorf("key %d: a count %x is believed", key, lie)
			}
		}
	}
}

const keyStreamsGroupHeartbeat = 88

// Integers of -1, and small lengths behind them, look like large counts.
func TestHonestRequestsWithMinusOneArePassed(t *testing.T) {
	known := everything()
	rng := rand.New(rand.NewPCG(5, 6))
	passed := 0
	for key := range int16(kmsg.MaxKey + 1) {
		// StreamsGroupHeartbeat, which is not served, holds structures that may be
		// null: their mark of -1 is one of the bytes that are set to zero.
		if _, ok := known[key]; !ok || key == keyProduce || key == keyStreamsGroupHeartbeat {
			continue
		}
		req := kmsg.RequestForKey(key)
		for range 50 {
			frame := requestOf(rng, key, req.MaxVersion(), 1)[4:]
			if _, err := known.parse(frame); err != nil {
				t.Errorf("key %d: %v", key, err)
			}
			passed++
		}
	}
	if passed < 1000 {
		t.Errorf("only %d requests were tried", passed)
	}
}
