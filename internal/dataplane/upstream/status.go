package upstream

// StatusSet is a set of statuses of HTTP below 640. Two sets with the same statuses are equal.
type StatusSet [10]uint64

// Add adds the statuses from low to high. It ignores those that a set cannot hold.
func (s *StatusSet) Add(low, high int) {
	for status := max(low, 0); status <= min(high, 64*len(s)-1); status++ {
		s[status/64] |= 1 << (status % 64)
	}
}

// Has reports whether the set holds a status.
func (s *StatusSet) Has(status int) bool {
	return status >= 0 && status < 64*len(s) && s[status/64]&(1<<(status%64)) != 0
}
