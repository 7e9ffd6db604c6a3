package discovery

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Change is the join or the leave of one instance.
type Change struct {
	Service, Instance, Address string
	Source                     string // what listed the instance; "": the document
	Joined                     bool
}

// Standing is what is known about the work of an instance.
type Standing uint8

// The standings.
const (
	Unproven Standing = iota // it has answered no request and no health check
	Working
	Down // its health check fails, or it is ejected
)

// lossWindow is the time in which at most a share of the instances may leave.
const lossWindow = time.Minute

// listing is what is known from one source.
type listing struct {
	source  string // as Instance.Source
	key     string // what is asked: sources of one name may differ in a query, which is not shown
	targets []config.Instance
	at      time.Time // of the last good answer; zero: none
	since   time.Time // when the source was configured
	err     string    // of the latest attempt; "": it was good
	saved   bool      // targets are from the disk: the source has not answered yet
}

// membership is the set of instances of one service.
type membership struct {
	service   string
	static    []config.Instance
	listings  []*listing // the first ones win
	maxLoss   float64
	most      int           // instances that may be held by maxLoss; 0: no limit
	firstWait time.Duration // how long a first answer is awaited before instances leave that no source lists, if others remain

	members []member    // those of the document first, then by id
	losses  []time.Time // of the last lossWindow, oldest first
	held    int         // members that no source lists any more
	hidden  int         // targets whose id or address another source has too
}

type member struct {
	config.Instance
	held  bool      // no longer listed
	since time.Time // when it joined; zero: it was among the first
}

// answer notes an answer and reports whether it differs from the one before. An empty answer is no good one while the
// listing has instances, unless all of them may leave: a registry that lost its data must not empty a pool. targets
// belongs to the membership.
func (m *membership) answer(l *listing, targets []config.Instance, now time.Time) (fresh bool) {
	if len(targets) == 0 && len(l.targets) > 0 && m.maxLoss < 1 {
		m.fail(l, "the list is empty; the instances that work stay (maxLoss: 1 permits that all leave)")
		return false
	}
	fresh = l.at.IsZero() || !slices.EqualFunc(l.targets, targets, func(a, b config.Instance) bool {
		b.Source = a.Source
		return equal(member{Instance: a}, member{Instance: b})
	})
	if fresh {
		for i := range targets {
			targets[i].Source = l.source
		}
		l.targets = targets
	}
	l.at, l.err, l.saved = now, "", false
	return fresh
}

func (m *membership) fail(l *listing, reason string) { l.err = reason }

// step brings members in line with the listings, as far as the bounds permit. It returns who joined and left, and whether
// anything changed.
func (m *membership) step(now time.Time, standing func(id string) Standing) (changes []Change, changed bool) {
	wanted, byAddress := m.wanted()
	p := &plan{wanted: wanted, moving: map[string]member{}}
	unlisted := p.keep(m.members, byAddress)
	m.release(p, unlisted, now, standing)
	for _, old := range p.moving {
		p.leaving = append(p.leaving, old)
	}
	for _, old := range p.leaving {
		changes = append(changes, m.change(old.Instance, false))
	}
	var since time.Time
	if len(m.members) > 0 {
		since = now
	}
	for _, in := range p.wanted {
		p.next = append(p.next, member{Instance: in, since: since})
		changes = append(changes, m.change(in, true))
	}
	next := m.sorted(p.next)
	changed = !slices.EqualFunc(m.members, next, equal)
	m.members, m.held = next, p.held
	slices.SortFunc(changes, func(a, b Change) int {
		if c := strings.Compare(a.Instance, b.Instance); c != 0 || a.Joined == b.Joined {
			return c
		}
		if b.Joined {
			return -1 // the former address leaves first
		}
		return 1
	})
	return changes, changed
}

// plan is a step under way.
type plan struct {
	wanted  map[string]config.Instance // by id: listed, and no member yet
	moving  map[string]member          // members whose address is listed under another id, by this address
	next    []member
	leaving []member
	held    int
}

// keep takes over the members that are listed at their address. It returns those whose address is listed nowhere.
func (p *plan) keep(members []member, byAddress map[string]bool) (unlisted []member) {
	for _, old := range members {
		in, listed := p.wanted[old.ID]
		address := config.SameAddress(old.Address)
		switch {
		case listed && in.Address == old.Address && in.Succeeds(old.Incarnation):
			p.leaving = append(p.leaving, old)
		case listed && in.Address == old.Address:
			p.next = append(p.next, member{Instance: in, since: old.since})
			delete(p.wanted, old.ID)
		case byAddress[address]:
			p.moving[address] = old
		default:
			unlisted = append(unlisted, old)
		}
	}
	return unlisted
}

// hold keeps a member that is not listed. If its id is listed with another address, that waits, and the member that has this
// address now stays too.
func (p *plan) hold(old member) {
	for again := true; again; {
		p.held++
		p.next = append(p.next, member{Instance: old.Instance, held: true, since: old.since})
		address := config.SameAddress(p.wanted[old.ID].Address)
		delete(p.wanted, old.ID)
		if old, again = p.moving[address]; again {
			delete(p.moving, address)
		}
	}
}

// release decides which members that are not listed leave, and counts those that only maxLoss lets go.
func (m *membership) release(p *plan, unlisted []member, now time.Time, standing func(id string) Standing) {
	for len(m.losses) > 0 && now.Sub(m.losses[0]) >= lossWindow {
		m.losses = m.losses[1:]
	}
	if len(unlisted) == 0 {
		return
	}
	may := max(1, int(math.Floor(m.maxLoss*float64(m.established(now, standing)+len(m.losses))))) - len(m.losses)
	stays := m.kept(len(p.wanted)+len(p.next) == 0, now)
	for _, old := range unlisted {
		in, listed := p.wanted[old.ID]
		switch {
		case old.Draining, standing(old.ID) == Down, listed && in.Source == "": // the document gives it another address
			p.leaving = append(p.leaving, old)
		case stays(old):
			p.hold(old)
		case !m.configured(old.Source):
			p.leaving = append(p.leaving, old)
		case m.most > 0 && p.held >= m.most: // a source that lists other instances each time must not fill the memory
			p.leaving = append(p.leaving, old)
		case may > 0:
			may--
			m.losses = append(m.losses, now)
			p.leaving = append(p.leaving, old)
		default:
			p.hold(old)
		}
	}
}

// established returns the number of members without those that are down, and those that joined within lossWindow and have not
// worked yet. A list of many wrong instances must not permit that the next one removes all right ones.
func (m *membership) established(now time.Time, standing func(id string) Standing) (n int) {
	for _, in := range m.members {
		if is := standing(in.ID); is == Working || is != Down && (in.since.IsZero() || now.Sub(in.since) >= lossWindow) {
			n++
		}
	}
	return n
}

// kept returns a function that reports whether a member stays although it is not listed, whatever maxLoss says: its source has
// given no good answer, or no instance would be left. empty says that nothing is listed.
func (m *membership) kept(empty bool, now time.Time) func(member) bool {
	awaits := m.awaits(now)
	none := empty && (m.maxLoss < 1 || !slices.ContainsFunc(m.listings, func(l *listing) bool { return !l.at.IsZero() }))
	return func(old member) bool {
		if m.configured(old.Source) {
			return none || m.unanswered(old.Source)
		}
		return none || awaits
	}
}

// unanswered reports whether a source has given no good answer yet. Its members are those of an earlier configuration.
func (m *membership) unanswered(source string) bool {
	return slices.ContainsFunc(m.listings, func(l *listing) bool { return l.source == source && l.at.IsZero() })
}

// awaits reports whether a source has not answered yet and is not overdue.
func (m *membership) awaits(now time.Time) bool {
	return slices.ContainsFunc(m.listings, func(l *listing) bool { return l.at.IsZero() && now.Sub(l.since) < m.firstWait })
}

// configured reports whether the configuration has a source. The instances of other sources, and those that the document
// had, are removed by a change of the configuration.
func (m *membership) configured(source string) bool {
	return slices.ContainsFunc(m.listings, func(l *listing) bool { return l.source == source })
}

func equal(a, b member) bool {
	return a.held == b.held && a.ID == b.ID && a.Address == b.Address && a.Weight == b.Weight && a.Backup == b.Backup && a.Draining == b.Draining &&
		a.Source == b.Source && a.Incarnation == b.Incarnation && maps.Equal(a.Tags, b.Tags)
}

// wanted returns what document and sources list, by id and by address.
func (m *membership) wanted() (byID map[string]config.Instance, byAddress map[string]bool) {
	byID, byAddress, m.hidden = map[string]config.Instance{}, map[string]bool{}, 0
	add := func(all []config.Instance) {
		for _, in := range all {
			address := config.SameAddress(in.Address)
			if _, have := byID[in.ID]; have || byAddress[address] {
				m.hidden++
				continue
			}
			byID[in.ID], byAddress[address] = in, true
		}
	}
	add(m.static)
	for _, l := range m.listings {
		add(l.targets)
	}
	return byID, byAddress
}

// sorted orders members in a way that does not depend on their history: policies that hash give the same result on all
// nodes.
func (m *membership) sorted(all []member) []member {
	place := make(map[string]int, len(m.static))
	for i, in := range m.static {
		place[in.ID] = i - len(m.static)
	}
	slices.SortFunc(all, func(a, b member) int {
		if c := place[a.ID] - place[b.ID]; c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

func (m *membership) change(in config.Instance, joined bool) Change {
	return Change{Service: m.service, Instance: in.ID, Address: in.Address, Source: in.Source, Joined: joined}
}

// instances returns the members as the keeper takes them.
func (m *membership) instances() []config.Instance {
	out := make([]config.Instance, len(m.members))
	for i, in := range m.members {
		out[i] = in.Instance
		out[i].Unlisted = in.held
	}
	return out
}
