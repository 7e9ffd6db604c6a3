package browse_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// watch follows a topic until enough says that it saw enough.
func watch(t *testing.T, b *browse.Browser, q browse.Query, last int, enough func(all browse.Live, troubles []error) bool) (browse.Live, []error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all browse.Live
	var troubles []error
	done := errors.New("enough")
	is := func() error {
		if enough(all, troubles) {
			return done
		}
		return nil
	}
	err := b.Live(ctx, q, last, func(l browse.Live) error {
		all.Messages = append(all.Messages, l.Messages...)
		all.Skipped, all.Read = all.Skipped+l.Skipped, all.Read+l.Read
		return is()
	}, func(err error) error {
		troubles = append(troubles, err)
		return is()
	})
	if !errors.Is(err, done) {
		t.Fatalf("it ended with %v after %d messages", err, len(all.Messages))
	}
	return all, troubles
}

func TestLiveShowsTheLastAndThenWhatComes(t *testing.T) {
	b, cfg, _ := browser(t, "t:2")
	for i := range 20 {
		ship(t, cfg, "t", int32(i%2), kafka.Record{Value: fmt.Append(nil, i), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i))})
	}
	sent := false
	all, _ := watch(t, b, query(t, "t", "text", "1"), 3, func(all browse.Live, _ []error) bool {
		if len(all.Messages) == 3 && !sent {
			sent = true
			ship(t, cfg, "t", 0, kafka.Record{Value: []byte("21")}, kafka.Record{Value: []byte("22")}, kafka.Record{Value: []byte("31")})
		}
		return len(all.Messages) >= 5
	})
	var got []string
	for _, m := range all.Messages {
		got = append(got, *m.Value)
	}
	if want := []string{"17", "18", "19", "21", "31"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if all.Skipped != 0 {
		t.Errorf("%d skipped", all.Skipped)
	}
}

// A flood is sampled: what is shown stays readable, and what is not is counted.
func TestLiveSkipsWhatIsTooMuch(t *testing.T) {
	b, cfg, _ := browser(t, "t")
	flood := slices.Repeat([]kafka.Record{{Value: []byte("x")}}, 30_000)
	sent := make(chan struct{})
	started, began := false, time.Now()
	all, _ := watch(t, b, query(t, "t"), 0, func(all browse.Live, _ []error) bool {
		if !started {
			started = true
			go func() { defer close(sent); ship(t, cfg, "t", -1, flood...) }()
		}
		return int64(len(all.Messages))+all.Skipped == 30_000
	})
	<-sent
	most := 50 * (2 + int(time.Since(began)/browse.Beat)) // fifty of a beat, however many beats the flood lasts here
	if len(all.Messages) > most || all.Skipped == 0 || all.Messages[len(all.Messages)-1].Offset != 29_999 {
		t.Errorf("%d shown, %d skipped, %d read", len(all.Messages), all.Skipped, all.Read)
	}
}

// A broker that dies is told of, and what comes after it came back is shown.
func TestLiveGoesOnWhenTheBrokerComesBack(t *testing.T) {
	b, cfg, c := browser(t, "t")
	ship(t, cfg, "t", -1, kafka.Record{Value: []byte("before")})
	stopped := false
	back := make(chan struct{})
	all, troubles := watch(t, b, query(t, "t"), 1, func(all browse.Live, troubles []error) bool {
		if len(all.Messages) == 1 && !stopped {
			stopped = true
			c.Stop()
		}
		if len(troubles) == 1 {
			restart(t, c, cfg, back)
		}
		return len(all.Messages) >= 2
	})
	<-back
	if *all.Messages[1].Value != "after" || len(troubles) == 0 {
		t.Errorf("%v, troubles %v", all.Messages, troubles)
	}
}

func restart(t *testing.T, c *kafkatest.Cluster, cfg kafka.Config, back chan struct{}) {
	select {
	case <-back:
	default:
		c.Start()
		ship(t, cfg, "t", -1, kafka.Record{Value: []byte("after")})
		close(back)
	}
}

func TestExportGivesWholeRecords(t *testing.T) {
	b, cfg, _ := browser(t, "t:2")
	long := slices.Repeat([]byte("y"), 10_000)
	for p := range int32(2) {
		ship(t, cfg, "t", p, slices.Repeat([]kafka.Record{{Value: long}, {Value: []byte("z")}}, 700)...)
	}
	read := func(f func(func(kafka.Record) error) error) (out []string) {
		if err := f(func(r kafka.Record) error {
			if string(r.Value) != string(long) {
				t.Errorf("a value of %d bytes", len(r.Value))
			}
			out = append(out, fmt.Sprint(r.Partition, ":", r.Offset))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	for _, order := range []string{"newest", "oldest"} {
		got := read(func(emit func(kafka.Record) error) error {
			_, err := b.Export(t.Context(), query(t, "t", "order", order, "text", "y", "limit", "3"), emit)
			return err
		})
		if len(got) != 3 {
			t.Errorf("%s: %v", order, got)
		}
	}
	picks, err := browse.ParsePicks("0:2,0:1398,1:0,0:4,1:99999,0:2")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read(func(emit func(kafka.Record) error) error { return b.Picked(t.Context(), "t", picks, emit) }), []string{"0:1398", "0:2", "0:4", "1:0"}; !slices.Equal(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
}
