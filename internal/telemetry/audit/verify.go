package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// States of a chain, the worst last.
const (
	Intact  = "intact"
	Gap     = "gap"     // records are missing
	Altered = "altered" // a record changed after the next one was written

	// Only with signing keys.
	Unauthenticated = "unauthenticated" // no record is signed by a known key
	Forged          = "forged"          // records without a known signature are among signed records
)

// Chain is the result of verifying a node's records.
type Chain struct {
	Node      string    `json:"node"`
	State     string    `json:"state"`
	Records   int       `json:"records"`
	Unchained int       `json:"unchained"` // records of versions without chains, and a latest record without a successor: they cannot be verified
	Repeated  int       `json:"repeated"`  // delivered twice, byte for byte
	Begins    int       `json:"begins"`    // chains that begin within the log
	Signed    int       `json:"signed"`    // by a known key
	Forged    int       `json:"forged"`    // wrongly signed, or unsigned after a signed record; excluded from the chain
	FirstSeq  uint64    `json:"firstSeq"`
	LastSeq   uint64    `json:"lastSeq"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Breaks    []Break   `json:"breaks"` // at most maxBreaks
}

// Break is a place where one record does not follow the record before it.
type Break struct {
	State   string    `json:"state"` // gap, altered
	FromSeq uint64    `json:"fromSeq"`
	ToSeq   uint64    `json:"toSeq"`
	At      time.Time `json:"at"` // time of the record that shows the break
	Text    string    `json:"text"`
}

// maxChains limits the number of nodes: any client can invent names.
const maxChains = 10_000

// maxBreaks limits the breaks that are reported of one chain.
const maxBreaks = 100

// Verifier reads audit records in the order of the log. The zero value is
// ready.
type Verifier struct {
	nodes      map[string]*verified
	keyed      bool // signatures were verified
	unreadable int
	omitted    int
}

type verified struct {
	Chain
	hash    string // hash of the latest record
	chained bool   // the latest record is part of a chain
	recent  []string
}

// repeats is how many records back a record may be delivered again: a node that was killed sends the records that were
// not acknowledged.
const repeats = 256

// AddSigned adds the value of the next record and the verdict on its signature.
func (v *Verifier) AddSigned(value []byte, by sign.Verdict) {
	a, err := event.DecodeAuditLog(value)
	if err != nil || by.State == sign.Unchecked {
		v.Add(value)
		return
	}
	v.keyed = true
	c := v.nodes[a.Node]
	if by.State == sign.Signed || by.State == sign.Unsigned && (c == nil || c.Signed == 0) {
		repeated := 0
		if c != nil {
			repeated = c.Repeated
		}
		v.Add(value)
		if c := v.nodes[a.Node]; c != nil && by.State == sign.Signed && c.Repeated == repeated { // a copy proves nothing about other records
			c.Signed++
		}
		return
	}
	if c == nil && len(v.nodes) >= maxChains {
		v.omitted++
		return
	}
	if c == nil { // no signature confirms this name: a chain without records
		if v.nodes == nil {
			v.nodes = map[string]*verified{}
		}
		c = &verified{Chain: Chain{Node: a.Node, FirstSeq: a.Seq, LastSeq: a.Seq, From: a.Timestamp, To: a.Timestamp, Breaks: []Break{}}}
		v.nodes[a.Node] = c
	}
	c.Forged++
	c.broken(Break{Forged, c.LastSeq, a.Seq, a.Timestamp, fmt.Sprintf("record %d is not signed by a known key", a.Seq)})
	c.State = Forged
}

// Add adds the value of the next record.
func (v *Verifier) Add(value []byte) {
	a, err := event.DecodeAuditLog(value)
	if err != nil {
		v.unreadable++
		return
	}
	if v.nodes == nil {
		v.nodes = map[string]*verified{}
	}
	hash := hashOf(value)
	c := v.nodes[a.Node]
	if c == nil && len(v.nodes) >= maxChains {
		v.omitted++
		return
	}
	if c == nil {
		c = &verified{Chain: Chain{Node: a.Node, State: Intact, FirstSeq: a.Seq, From: a.Timestamp, Breaks: []Break{}}}
		v.nodes[a.Node] = c
		c.first(a)
	} else if slices.Contains(c.recent, hash) {
		c.Repeated++
		return
	} else {
		c.follow(a)
	}
	c.Records++
	c.LastSeq, c.To, c.hash = a.Seq, a.Timestamp, hash
	c.recent = append(c.recent, hash)
	if len(c.recent) > repeats {
		c.recent = slices.Delete(c.recent, 0, 1)
	}
}

// first handles the oldest remaining record. Earlier records were removed by the topic's retention, or never existed.
func (c *verified) first(a event.AuditLog) {
	c.chained = a.Prev != ""
	if a.Prev == "" {
		c.Unchained++ // until another record is chained to it
	}
}

func (c *verified) follow(a event.AuditLog) {
	switch {
	case a.Prev == c.hash:
		if !c.chained { // the record before began a chain
			c.chained = true
			c.Begins++
			c.Unchained--
		}
		return
	case a.Prev == "": // from an older version, or from a node that lost its data directory or has none
		c.Unchained++
		c.chained = false
		return
	case a.Seq > c.LastSeq+1:
		c.broken(Break{Gap, c.LastSeq + 1, a.Seq - 1, a.Timestamp, fmt.Sprintf("%d records are missing", a.Seq-1-c.LastSeq)})
	default:
		c.broken(Break{Altered, c.LastSeq, a.Seq, a.Timestamp, fmt.Sprintf("record %d is not the one that record %d was chained to", c.LastSeq, a.Seq)})
	}
	c.chained = true
}

func (c *verified) broken(b Break) {
	if c.State != Altered && c.State != Forged {
		c.State = b.State
	}
	if len(c.Breaks) < maxBreaks {
		c.Breaks = append(c.Breaks, b)
	}
}

// Result is the state of all chains.
type Result struct {
	State        string  `json:"state"`        // the worst of them
	Authenticity string  `json:"authenticity"` // unproven, partial or proven: whether signatures prove the writers of the records
	Note         string  `json:"note"`         // explanation for users
	Chains       []Chain `json:"chains"`
	Unreadable   int     `json:"unreadable"` // messages of the topic that are not audit records
	Omitted      int     `json:"omitted"`    // records of nodes beyond the first maxChains; they are not verified
}

// Values of Result.Authenticity.
const (
	Unproven = "unproven" // no key is known: removed or changed records are detected, added records are not
	Partial  = "partial"  // some records are signed by a known key
	Proven   = "proven"   // all records are signed by a known key
)

// note explains an authenticity to users.
func note(authenticity string) string {
	switch authenticity {
	case Proven:
		return "every record is signed by a known key"
	case Partial:
		return "some records are not signed by a known key: of those it is not certain that their node wrote them"
	}
	return "the chains have no key: a client that may write to audit-logs can add records, or a chain of its own, and this check cannot tell"
}

// authenticity returns the value for all chains together.
func (v *Verifier) authenticity() string {
	if !v.keyed {
		return Unproven
	}
	for _, c := range v.nodes {
		if c.Signed < c.Records || c.Forged > 0 {
			return Partial
		}
	}
	return Proven
}

// Result returns the results so far.
func (v *Verifier) Result() Result {
	r := Result{State: Intact, Chains: []Chain{}, Unreadable: v.unreadable, Omitted: v.omitted}
	worse := map[string]int{Intact: 0, Unauthenticated: 1, Gap: 2, Altered: 3, Forged: 4}
	for _, node := range slices.Sorted(maps.Keys(v.nodes)) {
		c := v.nodes[node].Chain
		if v.keyed && c.Signed == 0 && c.State == Intact {
			c.State = Unauthenticated
		}
		if worse[c.State] > worse[r.State] {
			r.State = c.State
		}
		r.Chains = append(r.Chains, c)
	}
	r.Authenticity = v.authenticity()
	r.Note = note(r.Authenticity)
	slices.SortStableFunc(r.Chains, func(a, b Chain) int { return cmp.Compare(worse[b.State], worse[a.State]) })
	return r
}
