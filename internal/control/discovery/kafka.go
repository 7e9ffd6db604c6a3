package discovery

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/control/config"
)

// kafkaSource lists the instances that registered themselves by messages in Kafka.
type kafkaSource struct {
	service       string
	registrations *Registrations
	bounds        Bounds
	ports         portRanges
	signed        bool
}

// kafkaPace is the time between two looks at the registrations.
const kafkaPace = 250 * time.Millisecond

var errNoKafka = errors.New("Kafka cannot be reached, or what it holds was not read yet")

// run reports the registrations whenever they change. While Kafka cannot be reached, that is no answer: the instances stay.
func (s kafkaSource) run(ctx context.Context, tell report) {
	defer s.registrations.open(s.service, s.bounds, s.ports, s.signed)()
	began := time.Now()
	failing := false
	for {
		found, same, live := s.registrations.list(s.service)
		switch {
		case !live && (failing || time.Since(began) > lossWindow/10):
			tell(nil, errNoKafka)
			failing = true
		case !live: // a starting node is not at fault
		case same && !failing:
			tell(nil, errUnchanged)
		default:
			slices.SortFunc(found, func(a, b config.Instance) int { return strings.Compare(a.ID, b.ID) })
			tell(found, nil)
			failing = false
		}
		if !backoff.Sleep(ctx, kafkaPace) {
			return
		}
	}
}

// portRanges are ports that instances may have, as pairs of the first and the last.
type portRanges [][2]int

// newPorts reads checked ranges such as 8080 and 9000-9100.
func newPorts(texts []string) (out portRanges) {
	for _, text := range texts {
		if first, last, ok := config.PortRange(text); ok {
			out = append(out, [2]int{first, last})
		}
	}
	return out
}

func (p portRanges) has(address string) bool {
	_, text, err := net.SplitHostPort(address)
	port, bad := strconv.Atoi(text)
	return err == nil && bad == nil && slices.ContainsFunc(p, func(r [2]int) bool { return port >= r[0] && port <= r[1] })
}
