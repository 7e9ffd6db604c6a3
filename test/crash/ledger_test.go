package crash

import (
	"fmt"
	"hash/crc32"
	"maps"
	"strconv"
	"strings"
	"sync"
)

// place is where a record lies.
type place struct {
	topic  string
	part   int32
	offset int64
}

// identity is who wrote a record and as which.
type identity struct {
	writer string
	seq    int
}

// valueOf makes the value of a record. It carries its own checksum, so that a
// changed one is seen, also where two have the same identity.
func valueOf(id identity, size int) []byte {
	text := fmt.Sprintf("%s %d ", id.writer, id.seq)
	text += strings.Repeat("x", max(0, size-len(text)-9))
	return fmt.Appendf(nil, "%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
}

// identityOf reads it back.
func identityOf(value []byte) (identity, error) {
	text := string(value)
	if len(text) < 9 || fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text[:len(text)-9]))) != text[len(text)-8:] {
		return identity{}, fmt.Errorf("value %.60q is not what was sent", text)
	}
	writer, rest, _ := strings.Cut(text, " ")
	number, _, _ := strings.Cut(rest, " ")
	seq, err := strconv.Atoi(number)
	return identity{strings.Clone(writer), seq}, err // not a part of the value, which may be large and is to be freed
}

// outcome is how a transaction ended, as its producer knows it.
type outcome int

const (
	unknown outcome = iota
	committed
	aborted
)

// ledger is what the broker has promised. All methods are safe for concurrent
// use.
type ledger struct {
	mu     sync.Mutex
	acked  map[place]identity
	tops   map[place]int64 // offset 0: one behind the highest that is acknowledged
	starts map[place]int64 // offset 0: acknowledged log start
	asked  map[place]int64 // offset 0: highest log start asked for

	commits map[place]int64 // offset 0: acknowledged commit
	tried   map[place]int64 // offset 0: the commit after it, whose answer may be missing

	deleted map[string]bool // groups whose deletion was acknowledged

	transactions map[string]outcome // by writer
	sizes        map[string]int     // records of a transaction
}

func newLedger() *ledger {
	return &ledger{
		acked: map[place]identity{}, tops: map[place]int64{}, starts: map[place]int64{}, asked: map[place]int64{},
		deleted: map[string]bool{}, commits: map[place]int64{}, tried: map[place]int64{}, transactions: map[string]outcome{}, sizes: map[string]int{},
	}
}

func (l *ledger) ack(p place, id identity) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, twice := l.acked[p]; twice {
		return fmt.Errorf("%v is acknowledged for %v and for %v", p, was, id)
	}
	l.acked[p] = id
	at := place{topic: p.topic, part: p.part}
	l.tops[at] = max(l.tops[at], p.offset+1)
	return nil
}

// set stores a number that only grows.
func (l *ledger) set(in map[place]int64, p place, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in[p] = max(in[p], n)
}

func (l *ledger) get(in map[place]int64, p place) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return in[p]
}

func (l *ledger) transaction(writer string, o outcome, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.transactions[writer], l.sizes[writer] = o, size
}

// group notes that a group is deleted for good.
func (l *ledger) group(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted[name] = true
}

// deletedGroups gives the groups whose deletion was acknowledged so far.
func (l *ledger) deletedGroups() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.deleted)
}

// ends gives one behind the highest acknowledged offset of each partition.
func (l *ledger) ends() map[place]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tops)
}
