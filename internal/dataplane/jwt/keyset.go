package jwt

import (
	"sync/atomic"
	"time"
)

// KeySet holds the newest keys of one source. It is safe for concurrent use.
type KeySet struct {
	Source string // URL, or the file that has the keys

	keys            atomic.Pointer[Keys] // nil: none so far
	wanted          atomic.Bool          // a token names a key that the set does not have
	fetched, failed atomic.Uint64
	lastAt          atomic.Int64 // Unix seconds of the last fetch that succeeded

	// Of the goroutine of the Fetcher.
	busy     bool
	failures int       // since the last fetch that succeeded
	next     time.Time // when the keys are due again
	earliest time.Time // when a token may ask for them
	text     string    // of the keys
}

// NewKeySet returns the set of a URL without keys.
func NewKeySet(url string) *KeySet { return &KeySet{Source: url} }

// FixedKeySet returns a set with keys that do not change.
func FixedKeySet(file string, keys *Keys) *KeySet {
	s := &KeySet{Source: file}
	s.keys.Store(keys)
	return s
}

// Ready reports whether the set has keys.
func (s *KeySet) Ready() bool { return s.keys.Load() != nil }

// Fetches are counts of a KeySet since the process started.
type Fetches struct {
	Succeeded, Failed uint64
	Last              int64 // Unix seconds of the last success; 0: none
}

// Fetches returns how often the keys were fetched.
func (s *KeySet) Fetches() Fetches {
	return Fetches{Succeeded: s.fetched.Load(), Failed: s.failed.Load(), Last: s.lastAt.Load()}
}
