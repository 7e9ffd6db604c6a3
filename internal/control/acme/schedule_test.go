package acme

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestACertificateIsRenewedBeforeTwoThirdsOfItsLife(t *testing.T) {
	day := 24 * time.Hour
	for _, tc := range []struct {
		life  time.Duration
		share float64
		want  time.Duration
	}{
		{90 * day, 0, 54 * day}, {100 * day, 0.5, 63 * day}, {100 * time.Hour, 0.999999, 66 * time.Hour}, {6 * day, 0, 6 * day * 6 / 10},
	} {
		s := standing{}.stored(noon, noon.Add(tc.life), tc.share)
		if got := s.due().Sub(noon); (got - tc.want).Abs() > time.Second {
			t.Errorf("%v with share %v: renewed after %v, want %v", tc.life, tc.share, got, tc.want)
		}
	}
	if s := (standing{}); s.due().After(noon) {
		t.Error("a certificate that does not exist is not due")
	}
}

// Let's Encrypt permits five failed validations of a name per hour.
func TestFailedOrdersBackOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.Float64Range(0, 0.999)
		s, now := standing{}, noon
		if rapid.Bool().Draw(t, "stored") {
			s = s.stored(noon.AddDate(0, -3, 0), noon, 0)
		}
		orders := []time.Time{}
		for range 12 {
			orders = append(orders, now)
			before := s.earliest
			s = s.failed(errors.New("no"), now, 0, unit.Draw(t, "unit"))
			wait := s.due().Sub(now)
			if wait < time.Minute || wait > 12*time.Hour || !s.due().After(before) {
				t.Fatalf("after %d failures it waits %v", s.failures, wait)
			}
			now = s.due()
		}
		for i := range orders[:len(orders)-5] {
			if orders[i+5].Sub(orders[i]) <= time.Hour {
				t.Fatalf("six orders within an hour: %v", orders[i:i+6])
			}
		}
		if s = s.stored(now, now.Add(time.Hour), 0); s.failures != 0 || s.err != nil {
			t.Fatalf("after a success: %+v", s)
		}
	})
}

func TestAnAuthoritySaysWhenToReturn(t *testing.T) {
	for request, want := range map[time.Duration]time.Duration{
		0: time.Minute, time.Second: time.Minute, 3 * time.Hour: 3 * time.Hour, 1000 * time.Hour: maxRetryAfter, -time.Hour: time.Minute,
	} {
		if got := (standing{}).failed(errors.New("no"), noon, request, 0).due().Sub(noon); got != want {
			t.Errorf("the authority requests %v: %v, want %v", request, got, want)
		}
	}
	if got := (standing{}).postponed(noon, 0).due().Sub(noon); got != otherNode/2 {
		t.Errorf("another node orders: %v", got)
	}
}

func TestNamesWithoutACertificateComeFirst(t *testing.T) {
	none := standing{earliest: noon}
	early, late := standing{}.stored(noon.AddDate(0, -2, 0), noon, 0), standing{}.stored(noon.AddDate(0, -1, 0), noon, 0)
	all := []standing{late, early, none}
	slices.SortFunc(all, urgent)
	if !all[0].expires.IsZero() || !all[1].begins.Equal(early.begins) {
		t.Errorf("%+v", all)
	}
}

func TestChallengesTakeTurns(t *testing.T) {
	for failures, want := range []string{certs.TLSALPN01, certs.HTTP01, certs.TLSALPN01, certs.HTTP01} {
		if got := challengeOf("", failures); got != want {
			t.Errorf("after %d failures: %s, want %s", failures, got, want)
		}
		if got := challengeOf(certs.HTTP01, failures); got != certs.HTTP01 {
			t.Errorf("configured: %s", got)
		}
	}
}
