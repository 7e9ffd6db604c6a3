package configlog

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
)

// Limits of an override.
const (
	maxOverrides    = 10_000 // in effect; every node refuses more
	MaxWeight       = 1000   // 0: the weight of the configuration
	MaxOverrideTime = 30 * 24 * time.Hour
)

// overrides is the list in effect: at most one drain and one weight for each instance. The list of the log and the list
// of a node are folded in the same way.
type overrides []event.Override

// sameOverride reports whether two overrides concern the same setting: the drain of an instance, or its weight.
func sameOverride(a, b event.Override) bool {
	return a.ServiceID == b.ServiceID && a.InstanceID == b.InstanceID && (a.Action == event.ActionWeight) == (b.Action == event.ActionWeight)
}

// with returns the list after one more override, in the memory of the old list. It returns false if there are too many;
// then the override has no effect.
func (l overrides) with(o event.Override) (overrides, bool) {
	l = slices.DeleteFunc(l, func(h event.Override) bool { return sameOverride(h, o) })
	switch {
	case o.Action == event.ActionUndrain, o.Action == event.ActionWeight && o.Weight.Or(0) == 0:
		return l, true
	case len(l) >= maxOverrides:
		return l, false
	}
	return append(l, o), true
}

// at returns the overrides that have not ended, in the memory of the old list.
func (l overrides) at(now time.Time) overrides {
	return slices.DeleteFunc(l, func(o event.Override) bool { return ended(o, now) })
}

func ended(o event.Override, now time.Time) bool {
	return !o.EndsAt.IsZero() && !o.EndsAt.After(now)
}

// attributed returns a message's override with its author, time and reason.
func attributed(u event.ConfigUpdate) event.Override {
	o := u.Override
	o.Author, o.Reason, o.Since = u.Author, u.Comment, u.Timestamp
	return o
}

// CheckOverride returns an error if nodes would refuse the override. Whether the instance exists is not part of it.
func CheckOverride(o event.Override) error {
	switch w := o.Weight.Or(0); o.Action {
	case event.ActionDrain, event.ActionUndrain:
		return nil
	case event.ActionWeight:
		if !(w >= 0 && w <= MaxWeight) { // also no number
			return fmt.Errorf("weight %v: want 0 (as configured) to %d", w, MaxWeight)
		}
		return nil
	}
	return fmt.Errorf("action %q: want drain, undrain or weight", o.Action)
}

// EndAfter returns the override with its end, d after now. Its error says why the override cannot end then.
func EndAfter(o event.Override, d time.Duration, now time.Time) (event.Override, error) {
	switch {
	case d < time.Second || d > MaxOverrideTime:
		return o, fmt.Errorf("want a duration from 1s to %s, such as 30m", MaxOverrideTime)
	case o.Action == event.ActionUndrain:
		return o, errors.New("an undrain has no end")
	}
	o.EndsAt = now.Add(d).UTC().Truncate(time.Millisecond)
	return o, nil
}

// Describe returns an override as text.
func Describe(o event.Override) string {
	text := fmt.Sprintf("%s %s/%s", o.Action, o.ServiceID, o.InstanceID)
	if o.Action == event.ActionWeight {
		text = fmt.Sprintf("weight of %s/%s is %v", o.ServiceID, o.InstanceID, o.Weight.Or(0))
	}
	if !o.EndsAt.IsZero() {
		text += " until " + o.EndsAt.UTC().Format(readable.TimeLayout)
	}
	return text
}
