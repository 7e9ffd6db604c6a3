package journal

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
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
