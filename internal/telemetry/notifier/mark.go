package notifier

import (
	"encoding/json"
	"time"

	"github.com/smartlb/smartlb/internal/telemetry/grouping"
)

// marks are stored as the metadata of a commit, as JSON: Kafka permits 4096 bytes.
type marks map[string]grouping.Mark // by receiver

type storedMarks struct {
	Version   int                 `json:"v"`
	At        int64               `json:"at"` // milliseconds, as all times
	Receivers map[string][2]int64 `json:"receivers"`
}

func (m marks) encode() string {
	s := storedMarks{Version: 1, Receivers: map[string][2]int64{}}
	for name, k := range m {
		s.At = k.At.UnixMilli()
		s.Receivers[name] = [2]int64{milli(k.Since), milli(k.Silenced)}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return "" // not possible
	}
	return string(b)
}

// parseMarks reads the metadata of a commit. A text of another program gives no marks.
func parseMarks(text string) marks {
	var s storedMarks
	if json.Unmarshal([]byte(text), &s) != nil || s.Version != 1 || s.At <= 0 {
		return marks{}
	}
	out := marks{}
	for name, k := range s.Receivers {
		out[name] = grouping.Mark{At: time.UnixMilli(s.At), Since: unmilli(k[0]), Silenced: unmilli(k[1])}
	}
	return out
}

// same reports whether nothing but the time of the marks differs.
func (m marks) same(other marks) bool {
	if len(m) != len(other) {
		return false
	}
	for name, k := range m {
		o, ok := other[name]
		if !ok || !k.Since.Equal(o.Since) || !k.Silenced.Equal(o.Silenced) {
			return false
		}
	}
	return true
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func unmilli(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
