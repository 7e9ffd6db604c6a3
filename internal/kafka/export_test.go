package kafka

import (
	"context"
	"time"
)

// TokenSource gives tests the source of OAuth tokens.
func TokenSource(cfg Config) func(context.Context, time.Time) (string, error) {
	t := newTokens(cfg)
	return t.token
}
