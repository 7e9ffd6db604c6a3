package accesslog

// Filter decides which exchanges are logged. The zero value logs all.
type Filter struct {
	ErrorsOnly bool // only statuses from 400, and failures
	skip       uint64
}

// Sampled returns a filter that logs a share of the exchanges, 0 to 1. All exchanges with a status from 500 or with a
// failure are logged.
func Sampled(share float64, errorsOnly bool) Filter {
	return Filter{ErrorsOnly: errorsOnly, skip: uint64((1 - min(max(share, 0), 1)) * (1 << 53))}
}

// Takes reports whether an exchange is logged. failed says that it ended with a failure. random is called only if the
// share decides.
func (f Filter) Takes(status int, failed bool, random func() uint64) bool {
	switch {
	case failed || status >= 500:
		return true
	case f.ErrorsOnly && status < 400:
		return false
	}
	return f.skip == 0 || random()>>11 >= f.skip
}
