package records_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

func TestMessagesSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }))
		r := kafka.Record{Topic: "t", Key: bytes.Draw(t, "key"), Value: bytes.Draw(t, "value"), Timestamp: time.UnixMilli(rapid.Int64Range(0, 1<<40).Draw(t, "ms")).UTC()}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, kafka.Header{Key: rapid.String().Draw(t, "hk"), Value: bytes.Draw(t, "hv")})
		}
		b, err := json.Marshal(records.MessageOf(r))
		if err != nil {
			t.Fatal(err)
		}
		m, err := records.ParseMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Record()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("%s\n%s", b, diff)
		}
	})
}
