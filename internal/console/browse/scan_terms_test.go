package browse_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka"
)

// searched runs a search and gives how it ended.
func searched(t *testing.T, b *browse.Browser, topic string, v url.Values) browse.End {
	t.Helper()
	q, err := browse.ParseQuery(topic, v, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	end, err := b.Search(context.Background(), q, &matches{})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// matches keeps what a search finds.
type matches struct{ list []browse.Message }

func (m *matches) Matches(list []browse.Message) error { m.list = append(m.list, list...); return nil }
func (m *matches) Progress(browse.Progress) error      { return nil }

// An expression that takes a fifth of a second for each record kept a search of
// one second busy for half a minute: time was looked at each 128 records.
func TestASearchEndsInTimeWhateverItsExpressionCosts(t *testing.T) {
	b, cfg, _ := browser(t, "slow")
	var all []kafka.Record
	for i := range 200 {
		all = append(all, kafka.Record{Value: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	ship(t, cfg, "slow", 0, all...)
	loop := "[" + strings.TrimSuffix(strings.Repeat("1,", 900), ",") + "]"
	where := loop + ".all(a, " + loop + ".all(b, " + loop + ".all(c, value.n >= 0)))"
	for _, order := range []string{"oldest", "newest"} {
		end := searched(t, b, "slow", url.Values{"where": {where}, "seconds": {"1"}, "order": {order}})
		if end.Reason != browse.EndTime || end.Progress.Next == "" || end.Progress.Records >= 200 {
			t.Errorf("%s: it ended for %q after %d records, next %q", order, end.Reason, end.Progress.Records, end.Progress.Next)
		}
	}
}

func TestASearchSaysThatNoRecordHasThePath(t *testing.T) {
	b, cfg, _ := browser(t, "paths")
	ship(t, cfg, "paths", 0, kafka.Record{Value: []byte(`{"metrics":{"cpu":0.5}}`)})
	for path, want := range map[string]string{"metrics.cpuUsage > 0.1": "no value of the 1 records", "metrics.cpu > 0.1": ""} {
		end := searched(t, b, "paths", url.Values{"json": {path}})
		if notes := strings.Join(end.Notes, "; "); want == "" && notes != "" || !strings.Contains(notes, want) {
			t.Errorf("%s: notes %q, want %q", path, notes, want)
		}
	}
}
