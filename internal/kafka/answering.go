package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrSilent means that a broker did not answer within the request timeout.
var ErrSilent = errors.New("no answer from the broker")

// answeringWithin bounds the search for a broker that answers. If none answers, the usual connection attempt tries all
// brokers once more and returns the error.
const answeringWithin = 2 * time.Second

// Answering sends a request to all brokers of c at once and returns c with only the broker that answered first. A new
// client begins with any of its brokers and waits ten seconds for one that hangs. With one broker, or if none answers
// within two seconds, c stays as it is. Answering is for commands that end after their request; long-running programs
// learn the brokers of the cluster from metadata.
func (c Config) Answering(ctx context.Context) Config {
	if len(c.Brokers) < 2 {
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, answeringWithin)
	defer cancel()
	answers := make(chan string, len(c.Brokers))
	for _, b := range c.Brokers {
		one := c // copied before the goroutine begins: c changes with the first answer
		one.Brokers = []string{b}
		go func() { // ends with the first answer, or with ctx
			if client, err := kgo.NewClient(append(one.Options(), kgo.WithContext(ctx))...); err == nil {
				defer client.Close()
				if client.Ping(ctx) == nil {
					answers <- b
					return
				}
			}
			answers <- ""
		}()
	}
	for range c.Brokers {
		select {
		case b := <-answers:
			if b != "" {
				c.Brokers = []string{b}
				return c
			}
		case <-ctx.Done():
			return c
		}
	}
	return c
}
