package router

import (
	"fmt"
	"strings"
	"time"
)

// Hours are times of the week, by the clock of a zone. A time that ends before it begins ends on the next day.
type Hours struct {
	Days     [7]bool        // on which it begins, by time.Weekday; none: every day
	From, To time.Duration  // since midnight; To is not part of the time. Both 0: whole days
	Zone     *time.Location // nil: UTC
}

// contain reports whether t is within the hours.
func (h *Hours) contain(t time.Time) bool {
	if h.Zone != nil {
		t = t.In(h.Zone)
	} else {
		t = t.UTC()
	}
	hour, minute, second := t.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	today := t.Weekday()
	switch {
	case h.From == h.To:
		return h.on(today)
	case h.From < h.To:
		return h.on(today) && clock >= h.From && clock < h.To
	}
	return h.on(today) && clock >= h.From || h.on((today+6)%7) && clock < h.To
}

func (h *Hours) on(d time.Weekday) bool { return h.Days == [7]bool{} || h.Days[d] }

// String returns the hours for people.
func (h *Hours) String() string {
	var parts []string
	if h.Days != [7]bool{} {
		var days []string
		for i := range 7 {
			if d := time.Weekday((i + 1) % 7); h.Days[d] { // weeks begin on Monday
				days = append(days, d.String()[:3])
			}
		}
		parts = append(parts, strings.Join(days, ", "))
	}
	if h.From != h.To {
		parts = append(parts, clock(h.From)+" to "+clock(h.To))
	}
	if h.Zone != nil {
		parts = append(parts, h.Zone.String())
	} else {
		parts = append(parts, "UTC")
	}
	return strings.Join(parts, " ")
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}
