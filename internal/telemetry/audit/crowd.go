package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Clients without a login, and refused actions, can cause thousands of events per second. These events are counted and
// become one record per interval.
const (
	crowdEvery  = 10 * time.Second
	crowdKinds  = 200 // limit for names, addresses and reasons that are counted separately, each
	crowdListed = 10  // of these, how many the record lists
	singly      = 20  // refused actions of one user per interval that get a record each
	crowdText   = 100 // bytes of a name or a reason
)

// crowd counts attempts between two records. It is safe for concurrent use.
type crowd struct {
	mu       sync.Mutex
	began    time.Time
	attempts map[string]*attempts // by actor and action
	singly   map[string]int       // by user
}

// attempts counts the attempts of one action.
type attempts struct {
	actor                     event.Actor
	action                    string
	first, last               time.Time
	count                     uint64
	users, addresses, reasons map[string]uint64
}

// spare reports whether a user's refused action gets its own record.
func (c *crowd) spare(user string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.singly == nil {
		c.singly = map[string]int{}
	}
	if _, known := c.singly[user]; !known && len(c.singly) >= crowdKinds {
		return false
	}
	c.singly[user]++
	return c.singly[user] <= singly
}

// add counts an attempt of actor.
func (c *crowd) add(actor event.Actor, a event.AuditLog, address string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attempts == nil {
		c.attempts = map[string]*attempts{}
	}
	key := actor.Type + "\x00" + actor.ID + "\x00" + a.Action
	x := c.attempts[key]
	if x == nil {
		if len(c.attempts) >= crowdKinds {
			return // the program defines the actions; its file or issuer defines the users
		}
		x = &attempts{actor: actor, action: a.Action, first: now, users: map[string]uint64{}, addresses: map[string]uint64{}, reasons: map[string]uint64{}}
		c.attempts[key] = x
	}
	x.count++
	x.last = now
	count(x.users, a.Actor.ID)
	count(x.addresses, address)
	count(x.reasons, a.Reason)
}

func count(m map[string]uint64, key string) {
	if key == "" {
		return
	}
	if len(key) > crowdText {
		key = strings.ToValidUTF8(key[:crowdText], "")
	}
	if _, known := m[key]; known || len(m) < crowdKinds {
		m[key]++
	}
}

// records returns the counts as records when the interval is over, or with end at once, and begins the next interval.
func (c *crowd) records(now time.Time, end bool) (out []event.AuditLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		c.began = now
	}
	if !end && now.Sub(c.began) < crowdEvery {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(c.attempts)) {
		out = append(out, c.attempts[key].record())
	}
	c.began, c.attempts, c.singly = now, nil, nil
	return out
}

func (x *attempts) record() event.AuditLog {
	reason := "refused"
	if top := most(x.reasons); len(top) > 0 {
		reason = top[0].Value
	}
	seen, _ := json.Marshal(map[string]any{ // contains only numbers and valid texts: cannot fail
		"attempts": x.count, "users": most(x.users), "addresses": most(x.addresses), "reasons": most(x.reasons),
	})
	target := event.Target{Kind: "user", ID: "*"}
	if len(x.users) == 1 {
		target.ID = most(x.users)[0].Value
	}
	return event.AuditLog{
		Actor: x.actor, Action: x.action, Target: target, Result: event.ResultDenied,
		Reason: fmt.Sprintf("%d attempts within %s: %s", x.count, x.last.Sub(x.first).Round(time.Second), reason), After: seen,
	}
}

// counted is a value and how often it occurred.
type counted struct {
	Value string `json:"value"`
	Count uint64 `json:"count"`
}

// most lists the most frequent values.
func most(m map[string]uint64) []counted {
	out := make([]counted, 0, len(m))
	for k, n := range m {
		out = append(out, counted{strings.ToValidUTF8(k, "\ufffd"), n})
	}
	slices.SortFunc(out, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	return out[:min(len(out), crowdListed)]
}
