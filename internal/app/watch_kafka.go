package app

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Pauses between checks whether Kafka accepts connections: short while it does not, long afterwards. The clients
// reconnect without a message.
const (
	recheckDown = 5 * time.Second
	recheckUp   = time.Minute
)

// watchKafka logs that Kafka is unreachable, once for each cause, and that it is reachable again. Traffic continues in
// either state.
func (a *App) watchKafka(ctx context.Context) error {
	said := kafka.Cause("")
	for {
		pause := recheckUp
		switch err := kafka.CheckConnection(ctx, a.kafka); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = recheckDown
			cause, _ := kafka.Explain(err, a.kafka)
			if cause != said {
				a.o.Log.Warn("kafka is unreachable, traffic continues without it", "cause", cause, "error", err, "brokers", a.kafka.Brokers, "security", a.kafka.Security)
			}
			said = cause
		case said != "":
			a.o.Log.Info("kafka is reachable again", "brokers", a.kafka.Brokers)
			said = ""
		}
		a.unreachable.Store(said != "")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
