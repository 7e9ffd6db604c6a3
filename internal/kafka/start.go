package kafka

import (
	"fmt"
	"time"
)

// Start is where a reader begins in a partition that it has not read before. The zero value is the beginning.
type Start struct {
	kind   startKind
	ago    time.Duration
	offset int64
}

type startKind int

const (
	startBeginning startKind = iota
	startEnd
	startAgo
	startOffset
)

// FromBeginning starts with the oldest record.
func FromBeginning() Start { return Start{} }

// FromEnd starts with the next record to be written.
func FromEnd() Start { return Start{kind: startEnd} }

// FromAgo starts with the first record of the last d.
func FromAgo(d time.Duration) Start { return Start{kind: startAgo, ago: d} }

// FromOffset starts at offset n of every partition, or at the nearest offset that exists.
func FromOffset(n int64) Start { return Start{kind: startOffset, offset: n} }

func (s Start) String() string {
	switch s.kind {
	case startEnd:
		return "end"
	case startAgo:
		return fmt.Sprintf("%v ago", s.ago)
	case startOffset:
		return fmt.Sprintf("offset %d", s.offset)
	default:
		return "beginning"
	}
}

// place returns the first offset to read of a partition whose log spans [first, end). atTime is the offset of its first
// record at the wanted time. After a reset all records in the log are new, so readers that start at the end also read
// all of them.
func (s Start) place(first, end, atTime int64, reset bool) int64 {
	at := first
	switch s.kind {
	case startEnd:
		if !reset {
			at = end
		}
	case startAgo:
		at = atTime
	case startOffset:
		if !reset {
			at = s.offset
		}
	}
	return min(max(at, first), end)
}
