package discovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/config"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func numbered(from, to int) (out []config.Instance) {
	for i := from; i < to; i++ {
		out = append(out, config.Instance{ID: fmt.Sprintf("i%03d", i), Address: fmt.Sprintf("10.0.0.1:%d", 1000+i), Weight: 1})
	}
	return out
}

func newMembership(maxLoss float64, sources ...string) *membership {
	m := &membership{service: "s", maxLoss: maxLoss, firstWait: 2 * time.Minute}
	for _, s := range sources {
		m.listings = append(m.listings, &listing{source: s, since: begin})
	}
	return m
}

func works(string) Standing { return Working }

func allWork(string) func(string) Standing { return works }

// take gives the first source an answer and returns how many instances joined and left.
func (m *membership) take(targets []config.Instance, now time.Time, look func(string) Standing) (joins, leaves int) {
	m.answer(m.listings[0], targets, now)
	changes, _ := m.step(now, look)
	for _, c := range changes {
		if c.Joined {
			joins++
		} else {
			leaves++
		}
	}
	return joins, leaves
}

func TestAtMostAShareLeavesWithinAMinute(t *testing.T) {
	m, now := newMembership(.5, "file f"), begin
	m.take(numbered(0, 40), now, works)
	steps := []struct {
		after  time.Duration
		leaves int
		left   int
	}{{time.Second, 20, 20}, {2 * time.Second, 0, 20}, {59 * time.Second, 0, 20}, {61 * time.Second, 10, 10}, {125 * time.Second, 5, 5}}
	for _, s := range steps {
		now = begin.Add(s.after)
		if _, leaves := m.take(numbered(0, 1), now, works); leaves != s.leaves || len(m.members) != s.left {
			t.Fatalf("after %v: %d left and %d stay, want %d and %d", s.after, leaves, len(m.members), s.leaves, s.left)
		}
	}
	unlisted := 0
	for _, in := range m.instances() {
		if in.Unlisted {
			unlisted++
		}
	}
	if m.held != 4 || unlisted != 4 {
		t.Errorf("%d are held, and %d of the data plane's instances are unlisted; want 4", m.held, unlisted)
	}
	if joins, leaves := m.take(numbered(0, 40), now, works); joins != 35 || leaves != 0 || m.held != 0 {
		t.Errorf("the registry is right again: %d joined, %d left, %d held", joins, leaves, m.held)
	}
}

func TestAnEmptyListRemovesOnlyInstancesThatAreDown(t *testing.T) {
	m := newMembership(.5, "file f")
	m.take(numbered(0, 10), begin, works)
	for i := range 5 {
		now := begin.Add(time.Duration(i) * time.Hour)
		if _, leaves := m.take(nil, now, works); leaves != 0 || len(m.members) != 10 {
			t.Fatalf("an empty list removed %d instances", leaves)
		}
	}
	if l := m.listings[0]; l.err == "" || !l.at.Equal(begin) {
		t.Errorf("the empty list counts as a good answer: %+v", l)
	}
	all := newMembership(1, "file f")
	all.take(numbered(0, 10), begin, works)
	if _, leaves := all.take(nil, begin, works); leaves != 10 || len(all.members) != 0 {
		t.Errorf("with maxLoss 1 %d of 10 left", leaves)
	}
	first := newMembership(.5, "file f")
	if first.take(nil, begin, works); first.listings[0].err != "" {
		t.Errorf("an empty list before any instance is an error: %s", first.listings[0].err)
	}
}

func TestInstancesThatAreDownOrAnnouncedLeaveAtOnce(t *testing.T) {
	m := newMembership(.01, "file f")
	all := numbered(0, 10)
	for i := 5; i < 10; i++ {
		all[i].Draining = true
	}
	m.take(all, begin, works)
	firstDown := func(id string) Standing {
		if id < "i004" {
			return Down
		}
		return Working
	}
	if _, leaves := m.take(numbered(9, 10), begin, firstDown); leaves != 9 {
		t.Errorf("%d left, want 4 that are down, 4 that were announced and 1 within the share", leaves)
	}
}

func TestAnAddressThatIsTakenOverEndsItsFormerInstance(t *testing.T) {
	m := newMembership(.01, "file f")
	m.take(numbered(0, 10), begin, works)
	m.take(numbered(1, 10), begin, works) // uses up the share
	next := numbered(2, 10)
	next[0].ID = "successor" // has the address of i002
	joins, leaves := m.take(next, begin, works)
	ids := config.IDs(m.instances())
	if joins != 1 || leaves != 1 || slices.Contains(ids, "i002") || !slices.Contains(ids, "successor") || !slices.Contains(ids, "i001") {
		t.Errorf("%d joined, %d left: %v", joins, leaves, ids)
	}
}

func TestTheDocumentAndTheFirstSourceWin(t *testing.T) {
	m := newMembership(.5, "file f", "http h")
	m.static = []config.Instance{{ID: "z", Address: "10.0.0.1:1000", Weight: 5}}
	m.answer(m.listings[0], []config.Instance{{ID: "a", Address: "10.0.0.1:1000"}, {ID: "b", Address: "10.0.0.1:2"}}, begin)
	m.answer(m.listings[1], []config.Instance{{ID: "b", Address: "10.0.0.1:3"}, {ID: "c", Address: "10.0.0.1:4"}}, begin)
	m.step(begin, works)
	var got []string
	for _, in := range m.instances() {
		got = append(got, in.ID+" "+in.Address+" "+in.Source)
	}
	if want := "[z 10.0.0.1:1000  b 10.0.0.1:2 file f c 10.0.0.1:4 http h]"; fmt.Sprint(got) != want || m.hidden != 2 {
		t.Errorf("got %v and %d hidden, want %s and 2", got, m.hidden, want)
	}
}

// What an operator removes leaves at once, except while the first answer of a source is awaited: replacing instances of the
// document by a source must not empty the service.
func TestInstancesOfTheDocumentStayUntilTheSourceHasAnswered(t *testing.T) {
	m := newMembership(.5, "file f")
	for _, in := range numbered(0, 4) {
		m.members = append(m.members, member{Instance: in})
	}
	if m.step(begin, works); len(m.members) != 4 || m.held != 4 {
		t.Fatalf("%d stay and %d are held before the first answer", len(m.members), m.held)
	}
	late := *m
	late.static = []config.Instance{{ID: "x", Address: "10.0.0.9:1", Weight: 1}}
	if late.step(begin.Add(2*time.Minute), works); len(late.members) != 1 {
		t.Errorf("%d are there although the source did not answer in time, want that of the document", len(late.members))
	}
	if _, leaves := m.take(numbered(3, 6), begin, works); leaves != 3 || len(m.members) != 3 {
		t.Errorf("after the answer %d left, %d are there", leaves, len(m.members))
	}
}

// TestMembershipKeepsItsBounds walks through random answers and compares each step with what the bounds say.
func TestMembershipKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(.01, 1).Draw(t, "share")
		m, now := newMembership(share, "file f"), begin
		var losses []time.Time
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			var list []config.Instance
			for _, i := range rapid.SliceOfDistinct(rapid.IntRange(0, 15), rapid.ID[int]).Draw(t, "listed") {
				in := numbered(i, i+1)[0]
				in.Draining = rapid.IntRange(0, 9).Draw(t, "draining") == 0
				list = append(list, in)
			}
			fails := map[string]bool{}
			for _, in := range numbered(0, 16) {
				fails[in.ID] = rapid.IntRange(0, 4).Draw(t, "down") == 0
			}
			before := map[string]config.Instance{}
			for _, in := range m.members {
				before[in.ID] = in.Instance
			}
			good := len(list) > 0 || len(m.listings[0].targets) == 0 || share >= 1
			changes, changed := func() ([]Change, bool) {
				m.answer(m.listings[0], slices.Clone(list), now)
				return m.step(now, func(id string) Standing {
					if fails[id] {
						return Down
					}
					return Working
				})
			}()
			losses = slices.DeleteFunc(losses, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
			lost := len(losses)
			may := max(1, int(share*float64(len(before)+len(losses))))
			after := map[string]bool{}
			for _, in := range m.members {
				after[in.ID] = true
			}
			for id, in := range before {
				if !after[id] && !fails[id] && !in.Draining {
					losses = append(losses, now)
				}
			}
			if len(losses) > lost && len(losses) > may {
				t.Fatalf("%d instances that work left within a minute, at most %d may", len(losses), may)
			}
			if good {
				for _, in := range list {
					if !after[in.ID] {
						t.Fatalf("%s is listed and no member", in.ID)
					}
				}
				if len(m.members) != len(list)+m.held {
					t.Fatalf("%d members, %d listed, %d held", len(m.members), len(list), m.held)
				}
			}
			for _, c := range changes {
				if _, was := before[c.Instance]; was == c.Joined || after[c.Instance] != c.Joined {
					t.Fatalf("wrong change %+v", c)
				}
			}
			if len(changes) > 0 && !changed {
				t.Fatal("a change that is none")
			}
			if ids := config.IDs(m.instances()); !slices.IsSorted(ids) {
				t.Fatalf("not in order: %v", ids)
			}
		}
	})
}

func TestStepSaysWhetherAnythingChanged(t *testing.T) {
	m := newMembership(.5, "file f")
	m.take(numbered(0, 3), begin, works)
	if _, changed := m.step(begin, works); changed {
		t.Error("a step without news changes something")
	}
	list := numbered(0, 3)
	list[1].Tags = map[string]string{"zone": "a"}
	if !m.answer(m.listings[0], list, begin) {
		t.Error("a new tag is no news")
	}
	changes, changed := m.step(begin, works)
	if len(changes) > 0 || !changed || !maps.Equal(m.members[1].Tags, list[1].Tags) {
		t.Errorf("a new tag: changes %v, changed %v", changes, changed)
	}
	if m.answer(m.listings[0], slices.Clone(list), begin.Add(time.Second)) {
		t.Error("the same list is news")
	}
	if at := m.listings[0].at; !at.Equal(begin.Add(time.Second)) || !strings.HasPrefix(m.members[0].Source, "file") {
		t.Errorf("at %v", at)
	}
}

// A source that is down, or lists nothing, when it replaces the instances of the document or another source, must not empty
// the service.
func TestASourceWithoutInstancesDoesNotEmptyTheService(t *testing.T) {
	for name, answer := range map[string]func(m *membership){
		"no answer":       func(*membership) {},
		"an empty answer": func(m *membership) { m.answer(m.listings[0], nil, begin) },
	} {
		m := newMembership(.5, "file f")
		for _, in := range numbered(0, 4) {
			m.members = append(m.members, member{Instance: in})
		}
		answer(m)
		for i := range 10 {
			if m.step(begin.Add(time.Duration(i)*time.Hour), works); len(m.members) != 4 {
				t.Errorf("%s: after %d h %d instances are left", name, i, len(m.members))
			}
		}
	}
}

// A configuration with narrower bounds refuses what a source lists. The instances stay until the source gives a good answer.
func TestInstancesOfASourceWhoseAnswersAreRefusedStay(t *testing.T) {
	m := newMembership(.5, "file f")
	m.static = []config.Instance{{ID: "x", Address: "10.0.0.9:1", Weight: 1}}
	m.take(numbered(0, 8), begin, works)
	m.listings[0] = &listing{source: "file f", since: begin, err: "8 targets are more than maxInstances"}
	for i := range 20 {
		if m.step(begin.Add(time.Duration(i)*time.Hour), works); len(m.members) != 9 {
			t.Fatalf("after %d h %d instances are left", i, len(m.members))
		}
	}
	if _, leaves := m.take(numbered(0, 5), begin.Add(21*time.Hour), works); leaves != 3 {
		t.Errorf("after a good answer %d left, want 3", leaves)
	}
}

// Many new instances that have not worked yet do not permit that more of the others leave; those that have do.
func TestNewInstancesMustWorkBeforeOthersLeaveForThem(t *testing.T) {
	for standing, want := range map[Standing]int{Unproven: 2, Working: 4} {
		m, now := newMembership(.5, "file f"), begin
		look := func(id string) Standing {
			if id < "i004" {
				return Working
			}
			return standing
		}
		m.take(numbered(0, 4), now, look)
		now = now.Add(time.Hour)
		m.take(numbered(0, 500), now, look)
		now = now.Add(time.Second)
		if _, leaves := m.take(numbered(4, 500), now, look); leaves != want {
			t.Errorf("standing %d: %d left, want %d", standing, leaves, want)
		}
		now = now.Add(time.Minute)
		if _, leaves := m.take(numbered(4, 500), now, look); leaves != 4-want {
			t.Errorf("standing %d: %d left after a minute, want %d", standing, leaves, 4-want)
		}
	}
}

// Instances that are down never permit that more of the others leave.
func TestInstancesThatAreDownDoNotCountForTheShare(t *testing.T) {
	m, now := newMembership(.5, "file f"), begin
	look := func(id string) Standing {
		if id < "i004" {
			return Working
		}
		return Down
	}
	m.take(numbered(0, 500), now, look)
	now = now.Add(time.Hour)
	if _, leaves := m.take(numbered(4, 500), now, look); leaves != 2 {
		t.Errorf("%d of four instances that work left, want 2", leaves)
	}
}

// A list that gives ids the addresses of other instances must not remove more addresses than maxLoss permits.
func TestAnAddressThatIsNotTakenOverYetStays(t *testing.T) {
	m := newMembership(.1, "file f")
	m.take(numbered(0, 10), begin, works)
	list := numbered(0, 5)
	for i := range list {
		list[i].Address = numbered(i+5, i+6)[0].Address
	}
	m.take(list, begin, works)
	if len(m.members) != 9 {
		t.Errorf("%d instances are left of 10, want 9", len(m.members))
	}
	addresses := map[string]bool{}
	for _, in := range m.members {
		if addresses[in.Address] {
			t.Errorf("%s is there twice", in.Address)
		}
		addresses[in.Address] = true
	}
}

func TestAnotherAddressInTheDocumentCountsAtOnce(t *testing.T) {
	m := newMembership(.5, "file f") // has not answered
	m.static = []config.Instance{{ID: "x", Address: "10.0.0.9:1", Weight: 1}}
	m.step(begin, works)
	m.static = []config.Instance{{ID: "x", Address: "10.0.0.9:2", Weight: 1}}
	if m.step(begin, works); len(m.members) != 1 || m.members[0].Address != "10.0.0.9:2" {
		t.Errorf("members are %v", m.members)
	}
}
