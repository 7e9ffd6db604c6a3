package window

import (
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// MaxGap limits the time that one report can cover: a reporter without reports for longer did not see requests.
const MaxGap = 60 * time.Second

// firstGap is the time that the first report of a reporter covers.
const firstGap = time.Second

// Report is one report of one reporter.
type Report struct {
	At      time.Time
	Metrics event.Metrics
	Sketch  []byte // encoded and checked latencies; nil: none
}

// Series holds the recent reports of one reporter by timestamp. The zero value is empty.
type Series struct {
	reports []Report
}

// Insert inserts a report in timestamp order and reports whether it was new: a second report with the same timestamp is
// a duplicate and is ignored.
func (s *Series) Insert(r Report) bool {
	i := s.from(r.At)
	if i < len(s.reports) && s.reports[i].At.Equal(r.At) {
		return false
	}
	s.reports = slices.Insert(s.reports, i, r)
	return true
}

// Newest returns the report with the highest timestamp.
func (s *Series) Newest() (Report, bool) {
	if len(s.reports) == 0 {
		return Report{}, false
	}
	return s.reports[len(s.reports)-1], true
}

// Len returns the number of reports.
func (s *Series) Len() int { return len(s.reports) }

// After returns the time of the first report after t.
func (s *Series) After(t time.Time) (time.Time, bool) {
	i := s.from(t.Add(1))
	if i == len(s.reports) {
		return time.Time{}, false
	}
	return s.reports[i].At, true
}

// Evict drops the reports before t except the latest of them, which the gap of its successor needs.
func (s *Series) Evict(t time.Time) {
	n := s.from(t) - 1
	if n <= 0 {
		return
	}
	s.reports = slices.Delete(s.reports, 0, n)
}

// Each calls f for each report in [from, to) with its gap: the time since the reporter's previous report, at most
// MaxGap, one second for its first. Requests are rps times gap.
func (s *Series) Each(from, to time.Time, f func(r *Report, gap time.Duration)) {
	for i := s.from(from); i < len(s.reports) && s.reports[i].At.Before(to); i++ {
		gap := firstGap
		if i > 0 {
			gap = min(s.reports[i].At.Sub(s.reports[i-1].At), MaxGap)
		}
		f(&s.reports[i], gap)
	}
}

// Period returns the median of the last gaps between reports, false before there are two reports.
func (s *Series) Period() (time.Duration, bool) {
	var few [fewGaps]time.Duration
	gaps := s.gaps(few[:0])
	if len(gaps) == 0 {
		return 0, false
	}
	return gaps[len(gaps)/2], true
}

// Longest returns the longest of the last gaps between reports, false before there are two reports. A reporter that
// lengthens its interval at most doubles it, so a reporter without a report for more than twice this time has stopped.
func (s *Series) Longest() (time.Duration, bool) {
	var few [fewGaps]time.Duration
	gaps := s.gaps(few[:0])
	if len(gaps) == 0 {
		return 0, false
	}
	return gaps[len(gaps)-1], true
}

const fewGaps = 5

// gaps appends the last gaps in ascending order.
func (s *Series) gaps(to []time.Duration) []time.Duration {
	for i := len(s.reports) - 1; i > 0 && len(to) < fewGaps; i-- {
		to = append(to, s.reports[i].At.Sub(s.reports[i-1].At))
	}
	slices.Sort(to)
	return to
}

// from returns the index of the first report at or after t.
func (s *Series) from(t time.Time) int {
	if n := len(s.reports); n > 0 && s.reports[n-1].At.Before(t) {
		return n // the usual case: in order
	}
	i, _ := slices.BinarySearchFunc(s.reports, t, func(r Report, t time.Time) int { return r.At.Compare(t) })
	return i
}
