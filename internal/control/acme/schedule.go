package acme

import (
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// A certificate is renewed when 60 to 66 % of its life time have passed. The exact share is random, so the nodes of a
// fleet do not order together. Two thirds is the usual advice of authorities, and the alert certificate-expires begins
// there at the earliest.
const renewFrom, renewTo = 0.60, 0.66

// minPace is the shortest time between two orders of a certificate that succeed, also if the authority issues
// certificates for seconds.
const minPace = time.Minute

// retries is the wait after a failed order: 1 to 2 min, then three times as long each, up to 12 h. That is at most five
// orders in the first hour: Let's Encrypt permits five failed validations of a name per hour.
var retries = backoff.Policy{Base: 2 * time.Minute, Max: 12 * time.Hour, Factor: 3}

// maxRetryAfter limits the wait that an authority can request.
const maxRetryAfter = 7 * 24 * time.Hour

// otherNode is the wait while another node orders a certificate with the same name: 10 to 20 s.
const otherNode = 20 * time.Second

// standing is what the schedule knows about one certificate. Its methods are pure: they take the time and random
// numbers in [0, 1).
type standing struct {
	begins, expires time.Time // of the stored certificate; zero: there is none
	share           float64   // random; where between renewFrom and renewTo it is renewed
	earliest        time.Time // of the next order
	failures        int       // orders in a row
	err             error     // of the latest order; nil: it succeeded, or there was none
}

// due returns the time of the next order.
func (s standing) due() time.Time {
	if s.expires.IsZero() {
		return s.earliest
	}
	share := renewFrom + (renewTo-renewFrom)*s.share
	renewal := s.begins.Add(time.Duration(float64(s.expires.Sub(s.begins)) * share))
	if renewal.After(s.earliest) {
		return renewal
	}
	return s.earliest
}

// stored returns the standing with a certificate.
func (s standing) stored(begins, expires time.Time, unit float64) standing {
	return standing{begins: begins, expires: expires, share: unit, earliest: s.earliest}
}

// failed returns the standing after a failed order. retryAfter is the wait that the authority requests; 0: none.
func (s standing) failed(err error, now time.Time, retryAfter time.Duration, unit float64) standing {
	s.earliest = now.Add(max(retries.Delay(s.failures, unit), min(retryAfter, maxRetryAfter)))
	s.failures++
	s.err = err
	return s
}

// postponed returns the standing while another node orders.
func (s standing) postponed(now time.Time, unit float64) standing {
	s.earliest = now.Add(backoff.Policy{Base: otherNode, Max: otherNode}.Delay(0, unit))
	return s
}

// urgent compares two certificates that are due: those that do not exist first, then by the time at which they were due.
func urgent(a, b standing) int {
	switch {
	case a.expires.IsZero() != b.expires.IsZero():
		if a.expires.IsZero() {
			return -1
		}
		return 1
	}
	return a.due().Compare(b.due())
}

// challengeOf returns the type of challenge of the next order: the configured type, otherwise both in turn.
func challengeOf(configured string, failures int) string {
	if configured != "" {
		return configured
	}
	return turns[failures%len(turns)]
}
