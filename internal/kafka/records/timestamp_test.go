package records

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTimestampsOutliveTheirNanoseconds(t *testing.T) {
	received := func(ms int64) time.Time { return time.Unix(0, ms*1e6) } // as the library makes them
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(earliest.UnixMilli(), latest.UnixMilli()).Draw(t, "ms")
		if got := timeOf(received(ms)); got.UnixMilli() != ms {
			t.Fatalf("%d is %v", ms, got)
		}
	})
	for ms, want := range map[int64]time.Time{
		-1:                    time.UnixMilli(-1),
		0:                     time.UnixMilli(0),
		253402300800000:       latest, // the year 10,000
		1_795_430_579_586_000: latest, // microseconds by mistake
		-1 << 50:              earliest,
	} {
		if got := timeOf(received(ms)); !got.Equal(want) {
			t.Errorf("%d is %v, want %v", ms, got, want)
		}
	}
	if own := time.Unix(1, 1); !timeOf(own).Equal(own) {
		t.Error("a time that no broker gave was changed")
	}
}
