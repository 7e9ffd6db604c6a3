package broker

import (
	"cmp"
	"slices"
	"time"
)

// partition names one partition.
type partition struct {
	Topic     string
	Partition int32
}

// span is the content of a partition at one moment.
type span struct {
	Start, End int64         // offsets of the oldest and of the next record
	Bytes      int64         // size of its records
	Keep       time.Duration // retention.ms of its topic; negative: forever
	KeepBytes  int64         // retention.bytes of its topic, per partition; negative: no limit
}

// mark records that all records before End had been written at At, by this machine's clock. Record timestamps come from
// clients and may have any value; clients cannot forge marks.
type mark struct {
	At  time.Time `json:"at"`
	End int64     `json:"end"`
}

// marksPerRetention limits the number of marks of a partition, and so the delay of its deletions: half a percent of the
// retention.
const marksPerRetention = 200

// remark returns the new marks of a partition. If the end of the log is lower than a mark, the log is a different log,
// and its old marks are dropped.
func remark(marks []mark, s span, now time.Time, sweep time.Duration) []mark {
	if n := len(marks); n > 0 && marks[n-1].End > s.End {
		marks = nil
	}
	if s.Keep < 0 {
		return nil
	}
	for len(marks) > 0 && marks[0].End < s.Start {
		marks = marks[1:]
	}
	if n := len(marks); n > 0 {
		if marks[n-1].End == s.End || now.Sub(marks[n-1].At) < max(sweep, s.Keep/marksPerRetention) {
			return marks
		}
	}
	return append(marks, mark{now, s.End})
}

// expire decides at which offsets partitions shall begin: by age, by the size of each, and by the size of all together,
// where the largest is cut first. Partitions that are kept forever stay as they are. The last record of a partition
// always stays, because kfake forgets the offsets of an empty partition at the next start.
func expire(spans map[partition]span, marks map[partition][]mark, limit int64, now time.Time) map[partition]int64 {
	cut := map[partition]int64{}
	left := map[partition]int64{} // bytes, estimated
	var total int64
	for p, s := range spans {
		total += s.Bytes
		if s.Keep < 0 || s.End-s.Start < 2 {
			continue
		}
		start := s.Start
		for _, m := range marks[p] {
			if now.Sub(m.At) >= s.Keep {
				start = max(start, m.End)
			}
		}
		if s.KeepBytes >= 0 && s.Bytes > s.KeepBytes {
			start = max(start, s.cutFor(s.Bytes-s.KeepBytes))
		}
		start = min(start, s.End-1)
		left[p] = s.Bytes * (s.End - start) / (s.End - s.Start)
		total -= s.Bytes - left[p]
		if start > s.Start {
			cut[p] = start
		}
	}
	largest := make([]partition, 0, len(left))
	for p := range left {
		largest = append(largest, p)
	}
	slices.SortFunc(largest, func(a, b partition) int {
		return cmp.Or(cmp.Compare(left[b], left[a]), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, p := range largest {
		if total <= limit {
			break
		}
		s := spans[p]
		gone := s.Bytes - left[p]
		start := min(max(s.cutFor(gone+total-limit), cut[p]), s.End-1)
		after := s.Bytes * (s.End - start) / (s.End - s.Start)
		total -= left[p] - after
		if start > s.Start {
			cut[p] = start
		}
	}
	return cut
}

// cutFor returns the offset before which about n bytes lie, assuming records of equal size.
func (s span) cutFor(n int64) int64 {
	if s.Bytes <= 0 {
		return s.Start
	}
	n = min(n, s.Bytes)
	records := float64(s.End-s.Start) * float64(n) / float64(s.Bytes)
	return min(s.Start+int64(records)+1, s.End)
}
