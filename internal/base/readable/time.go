package readable

import "time"

// TimeLayout is ISO 8601 with a blank between date and time, to the
// millisecond, with the zone: 2026-11-28 14:03:07.123+01:00.
const TimeLayout = "2006-01-02 15:04:05.000Z07:00"

// Time writes a moment in the process's time zone; the zero time is "-".
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(TimeLayout)
}

// Moment is t as it stands in data: UTC, to the millisecond. The zero time
// stays.
func Moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
