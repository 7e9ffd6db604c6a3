package readable

import "time"

// TimeLayout is ISO 8601 with a blank between date and time, to the
// millisecond, with the zone: 2026-11-28 14:03:07.123+01:00.
const TimeLayout = "2006-01-02 15:04:05.000Z07:00"

// Time returns a time as text in the process's time zone. The zero time is "-".
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(TimeLayout)
}

// Moment returns t as it is stored in data: UTC, to the millisecond. The zero time stays zero.
func Moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
