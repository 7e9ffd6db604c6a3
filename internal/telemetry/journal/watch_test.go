package journal

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// planned runs a watch whose plans are made by a test, and counts them.
func planned(t *testing.T, plan func(ctx context.Context) (kafka.TailConfig, error)) (w *watch, plans *int) {
	plans = new(int)
	w = (&watch{kafka: kafka.Default(), log: slog.New(slog.DiscardHandler), begin: func() {}, handle: func([]kafka.Record) {},
		plan: func(ctx context.Context) (kafka.TailConfig, error) { *plans++; return plan(ctx) },
	}).init()
	run(t, w.Run)
	return w, plans
}

// Nobody looked any more while it was still being asked where to begin: the
// reader that comes of it does not run, and must not be taken for one that does.
func TestAReaderThatEndedBeforeItBeganIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, plans := planned(t, func(ctx context.Context) (kafka.TailConfig, error) {
			<-ctx.Done() // a broker that is slow
			return kafka.TailConfig{Topics: []string{event.TopicAuditLogs}}, nil
		})
		w.use()()
		time.Sleep(2 * idle)
		defer w.use()()
		synctest.Wait()
		if *plans != 2 {
			t.Errorf("%d readers were planned, want another one for who looks now", *plans)
		}
	})
}

func TestAReaderThatCannotBeMadeHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, plans := planned(t, func(context.Context) (kafka.TailConfig, error) { return kafka.TailConfig{}, nil })
		defer w.use()()
		synctest.Wait()
		defer w.use()()
		synctest.Wait()
		if *plans != 2 {
			t.Errorf("%d readers were planned for two who look", *plans)
		}
	})
}

// The past is read in parts, and what is left of an earlier reader is read
// again: a page sees each entry once.
func TestAPageThatOpensWhileThePastIsReadSeesItOnce(t *testing.T) {
	s := newStream(Config{Log: slog.New(slog.DiscardHandler)}, event.TopicAuditLogs, 10,
		func(r kafka.Record) (string, bool) { return string(r.Value), true }, func(*string) time.Time { return time.Time{} })
	s.tail = &kafka.Tail{}
	read := func(from, to int) {
		var batch []kafka.Record
		for n := from; n < to; n++ {
			batch = append(batch, kafka.Record{Value: fmt.Append(nil, n)})
		}
		s.handle(batch)
	}
	var seen []string
	early := s.Subscribe(10, nil)
	defer early.Close()
	take := func(p *Subscription[string]) {
		entries, skipped := p.Take()
		if seen = append(seen, entries...); skipped > 0 {
			t.Errorf("%d skipped", skipped)
		}
	}
	read(0, 3)
	page := s.Subscribe(10, nil)
	defer page.Close()
	take(page)
	read(3, 5)
	s.catchUp()
	take(page)
	read(5, 6)
	take(page)
	if want := []string{"0", "1", "2", "3", "4", "5"}; !slices.Equal(seen, want) {
		t.Errorf("the page saw %v, want %v", seen, want)
	}
	seen = nil
	take(early)
	if want := []string{"0", "1", "2", "3", "4", "5"}; !slices.Equal(seen, want) {
		t.Errorf("the page that was there before saw %v, want %v", seen, want)
	}
}

// A stop while a page waits for a broker that hangs does not wait with it.
func TestAReaderThatIsNotAnsweredEndsWithItsContext(t *testing.T) {
	addr, asked := kafkatest.Mute(t)
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout = []string{addr}, 10*time.Minute
	s := Decisions(Config{Kafka: cfg, Log: slog.New(slog.DiscardHandler)})
	page := s.Subscribe(1, nil)
	defer page.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-asked
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it waits for a broker that hangs")
	}
}
