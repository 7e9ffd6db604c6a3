package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // machines and containers may have no time zones

	"github.com/smartlb/smartlb/internal/dataplane/router"
)

// Hours are times of the week at which a route matches. A time whose end is before its begin ends on the next day.
type Hours struct {
	Days     []string `yaml:"days"`     // days on which the time begins: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`; default every day
	From     string   `yaml:"from"`     // begin, such as `22:00`; default the whole day
	To       string   `yaml:"to"`       // end, such as `06:00`, which is not part of the time. Only with `from`; default the whole day
	TimeZone string   `yaml:"timeZone"` // zone of the clock, such as `Europe/Berlin`; default UTC
}

// days of the week as they are written, by time.Weekday.
var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (c *checker) hours(path string, all []Hours) {
	for i, h := range bounded(c, path, "conditions", all, maxConditions) {
		at := fmt.Sprintf("%s[%d]", path, i)
		for j, d := range bounded(c, at+".days", "days", h.Days, len(days)) {
			c.oneOf(fmt.Sprintf("%s.days[%d]", at, j), d, days...)
			if d == "" || slices.Contains(h.Days[:j], d) {
				c.fail(fmt.Sprintf("%s.days[%d]", at, j), "%q: want each day once", d)
			}
		}
		from, err := clockTime(h.From)
		if err != nil {
			c.fail(at+".from", "%v", err)
		}
		to, wrong := clockTime(h.To)
		switch {
		case wrong != nil:
			c.fail(at+".to", "%v", wrong)
		case (h.From == "") != (h.To == ""):
			c.fail(at, "want from and to, or neither for whole days")
		case h.From != "" && err == nil && from == to:
			c.fail(at+".to", "is the same as from: leave both out for whole days")
		case h.From == "" && len(h.Days) == 0:
			c.fail(at, "has no effect: want days, or from and to")
		}
		if _, err := zone(h.TimeZone); err != nil {
			c.fail(at+".timeZone", "%.80q is no time zone: want a name such as Europe/Berlin", h.TimeZone)
		}
	}
}

// clockTime converts a time such as 22:00 to the time since midnight.
func clockTime(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, fmt.Errorf("%.20q: want a time between 00:00 and 23:59", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// machineZones are names, and beginnings of names with a slash, that only the files of some machines have. Their zones differ
// from node to node.
var machineZones = []string{"Local", "localtime", "posixrules", "posix/", "right/"}

// zone returns a time zone.
func zone(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return nil, nil
	}
	folder, _, nested := strings.Cut(name, "/")
	if nested {
		folder += "/"
	}
	if len(name) > 80 || slices.Contains(machineZones, folder) {
		return nil, fmt.Errorf("unknown time zone %.80q", name)
	}
	return time.LoadLocation(name)
}

// rules converts checked hours.
func (h Hours) rules() router.Hours {
	var out router.Hours
	for _, d := range h.Days {
		out.Days[slices.Index(days, d)] = true
	}
	out.From, _ = clockTime(h.From)
	out.To, _ = clockTime(h.To)
	out.Zone, _ = zone(h.TimeZone)
	return out
}

// text returns the hours in one form, for comparisons of routes.
func (h Hours) text() string {
	return fmt.Sprintf("%s %s-%s %s", strings.Join(slices.Sorted(slices.Values(h.Days)), ","), h.From, h.To, h.TimeZone)
}
