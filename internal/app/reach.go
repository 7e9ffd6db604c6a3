package app

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

// How often it is tried whether Kafka lets us in: soon while it does not, and
// seldom afterwards. The clients try by themselves and say nothing.
const (
	reachAgain = 5 * time.Second
	reachWatch = time.Minute
)

// watchKafka says when Kafka cannot be reached and why, once for each reason,
// and when it can again. Traffic goes on either way.
func (a *App) watchKafka(ctx context.Context) error {
	said := kafka.Cause("")
	for {
		pause := reachWatch
		switch err := kafka.Reach(ctx, a.kafka); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = reachAgain
			cause, _ := kafka.Explain(err, a.kafka)
			if cause != said {
				a.o.Log.Warn("kafka is unreachable, traffic continues without it", "cause", cause, "error", err, "brokers", a.kafka.Brokers, "security", a.kafka.Security)
			}
			said = cause
		case said != "":
			a.o.Log.Info("kafka is reachable again", "brokers", a.kafka.Brokers)
			said = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
