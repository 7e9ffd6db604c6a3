package picker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// DefaultPolicy applies if the configuration names no policy.
const DefaultPolicy = "adaptive"

// Names returns the policies, the default first.
func Names() []string {
	return []string{"adaptive", "round_robin", "least_request", "random", "peak_ewma", "ring_hash", "maglev"}
}

// CheckName returns an error that lists the valid names if name is not one of them.
func CheckName(name string) error {
	if slices.Contains(Names(), name) {
		return nil
	}
	return fmt.Errorf("unknown policy %q, want one of %s", name, strings.Join(Names(), ", "))
}

// build returns the policy object of a pool whose Live is not empty.
func build(name string, p *upstream.Pool, now int64) upstream.Policy {
	switch name {
	case "round_robin":
		return NewRoundRobin(p)
	case "least_request":
		return NewLeastRequest(p)
	case "random":
		return NewRandom(p)
	case "peak_ewma":
		return NewPeakEWMA(p)
	case "ring_hash":
		return NewRingHash(p)
	case "maglev":
		return NewMaglev(p)
	default:
		return NewAdaptive(p, now)
	}
}
