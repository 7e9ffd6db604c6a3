package admin

import (
	"errors"
	"fmt"

	"github.com/smartlb/smartlb/internal/base/nearest"
)

// ErrNoTopic means that a topic does not exist.
var ErrNoTopic = errors.New("topic does not exist")

// ErrNoGroup means that a consumer group does not exist.
var ErrNoGroup = errors.New("consumer group does not exist")

// ErrNoBroker means that a broker is not in the cluster.
var ErrNoBroker = errors.New("there is no broker")

// missing returns err for a name, with the most similar existing name.
func missing(err error, name string, among []string) error {
	if near := nearest.Name(name, among); near != "" {
		return fmt.Errorf("%s: %w (did you mean %s?)", name, err, near)
	}
	return fmt.Errorf("%s: %w", name, err)
}
