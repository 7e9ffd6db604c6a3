package event

import (
	"errors"
	"time"
)

// Times outside these years are mistakes. For times inside, every offset can be represented in RFC 3339.
const (
	minYear = 1970
	maxYear = 2999
)

var errTime = errors.New("want an RFC 3339 time with zone, such as 2024-01-15T10:30:00Z")

// parseTime reads an RFC 3339 time with any offset and returns it in UTC. A leap second counts as the first moment of
// the next minute. Digits beyond nanoseconds are cut.
func parseTime(t []byte) (time.Time, error) {
	if len(t) < len("2006-01-02T15:04:05Z") || t[4] != '-' || t[7] != '-' || t[10]|0x20 != 't' || t[13] != ':' || t[16] != ':' {
		return time.Time{}, errTime
	}
	year, ok1 := twoDigits(t[0:2])
	year2, ok2 := twoDigits(t[2:4])
	month, ok3 := twoDigits(t[5:7])
	day, ok4 := twoDigits(t[8:10])
	hour, ok5 := twoDigits(t[11:13])
	minute, ok6 := twoDigits(t[14:16])
	second, ok7 := twoDigits(t[17:19])
	year = year*100 + year2
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, errTime
	}
	if year < minYear || year > maxYear {
		return time.Time{}, errors.New("year is not within 1970..2999")
	}
	rest := t[19:]
	nanos := 0
	if rest[0] == '.' {
		n, scale := 1, 100_000_000
		for ; n < len(rest) && rest[n] >= '0' && rest[n] <= '9'; n++ {
			nanos += int(rest[n]-'0') * scale
			scale /= 10
		}
		if n == 1 {
			return time.Time{}, errTime
		}
		rest = rest[n:]
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return time.Time{}, errTime
	}
	at := time.Date(year, time.Month(month), day, hour, minute, min(second, 59), nanos, time.UTC).Add(-offset)
	if second == 60 {
		if at.Hour() != 23 || at.Minute() != 59 {
			return time.Time{}, errTime
		}
		at = at.Truncate(time.Second).Add(time.Second)
	}
	return at, nil
}

func parseOffset(z []byte) (time.Duration, bool) {
	if len(z) == 1 && z[0]|0x20 == 'z' {
		return 0, true
	}
	if len(z) != 6 || z[3] != ':' || (z[0] != '+' && z[0] != '-') {
		return 0, false
	}
	h, ok1 := twoDigits(z[1:3])
	m, ok2 := twoDigits(z[4:6])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if z[0] == '-' {
		d = -d
	}
	return d, true
}

func twoDigits(b []byte) (int, bool) {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// timeValue reads a time. Another type is an error of the value, not of the syntax.
func (s *scanner) timeValue() (time.Time, error) {
	if s.peek() != '"' {
		return time.Time{}, s.wrongType("a time")
	}
	return parseTime(s.str())
}

// checkTime reports a time that has no RFC 3339 form within the allowed years.
func checkTime(t time.Time) error {
	if t.IsZero() {
		return errMissing
	}
	// One day of tolerance: in UTC, an offset can move a time of an allowed year to an adjacent year.
	if u := t.UTC(); u.Year() < minYear-1 || u.Year() > maxYear+1 {
		return errors.New("year is not within 1970..2999")
	}
	return nil
}
