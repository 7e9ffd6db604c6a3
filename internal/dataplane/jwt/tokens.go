package jwt

import (
	"crypto/sha256"
	"sync"
)

const (
	shards      = 64
	perShard    = 256     // tokens
	maxRemember = 1 << 10 // bytes of claims of a token that is remembered
)

// Tokens remembers good tokens of all routes until they expire. It is bounded to 16,384 tokens. It is safe for concurrent
// use.
type Tokens struct{ shards [shards]shard }

type shard struct {
	mu   sync.RWMutex
	good map[[sha256.Size]byte]known
}

// known is what was found out about a good token.
type known struct {
	by    *Verifier
	keys  *Keys // with which it was verified: new keys verify it anew
	until int64 // Unix seconds
	id    *Identity
}

// NewTokens returns an empty memory.
func NewTokens() *Tokens {
	t := &Tokens{}
	for i := range t.shards {
		t.shards[i].good = map[[sha256.Size]byte]known{}
	}
	return t
}

func (t *Tokens) find(key *[sha256.Size]byte, v *Verifier, keys *Keys, now int64) *Identity {
	s := &t.shards[key[0]%shards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k, ok := s.good[*key]; ok && k.by == v && k.keys == keys && now < k.until {
		return k.id
	}
	return nil
}

func (t *Tokens) remember(key *[sha256.Size]byte, k known) {
	if k.id.size() > maxRemember {
		return
	}
	s := &t.shards[key[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.good) >= perShard {
		clear(s.good)
	}
	s.good[*key] = k
}
