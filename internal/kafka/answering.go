package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// answeringWithin bounds the search for a broker that answers. Where none does,
// all are tried once more in the usual way, which says what is wrong.
const answeringWithin = 2 * time.Second

// Answering asks all brokers of c at once and returns c with the one that
// answered first. A new client begins with any of those it is given, and waits
// ten seconds for one that hangs. With one broker, or none that answers within
// two seconds, c stays as it is. It is for a program that asks and ends; others
// learn the brokers of the cluster in time.
func (c Config) Answering(ctx context.Context) Config {
	if len(c.Brokers) < 2 {
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, answeringWithin)
	defer cancel()
	answers := make(chan string, len(c.Brokers))
	for _, b := range c.Brokers {
		one := c // before the goroutine may begin: c changes with the first answer
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
