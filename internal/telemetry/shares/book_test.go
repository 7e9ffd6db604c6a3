package shares

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/event"
)

const (
	limit  = "service/shop/total"
	second = int64(time.Second)
)

// fleet is a log and processes that read it, each as far as the test wants.
type fleet struct {
	log   []event.RateLimits
	books []*Book
	read  []int
	now   int64
}

func newFleet(n int) *fleet {
	f := &fleet{now: 1000 * second}
	for i := range n {
		f.join(fmt.Sprint("n", i))
	}
	return f
}

func (f *fleet) join(node string) {
	b := NewBook(node, "p")
	b.SetLimits(map[string]bool{limit: true})
	f.books, f.read = append(f.books, b), append(f.read, 0)
}

func (f *fleet) send(i int, rate float64) {
	f.log = append(f.log, f.books[i].Next(map[string]float64{limit: rate}, f.now))
}

// take lets a process read up to the record with that number.
func (f *fleet) take(i, to int) {
	for ; f.read[i] < min(to, len(f.log)); f.read[i]++ {
		f.books[i].Take(f.log[f.read[i]], f.now)
	}
}

// tick is a second in which each process reads all, sends, and reads its own record.
func (f *fleet) tick(rates ...float64) {
	for i := range f.books {
		f.now += second / int64(len(f.books))
		f.take(i, len(f.log))
		if rates[i] >= 0 { // below: the process does not run
			f.send(i, rates[i])
		}
		f.take(i, len(f.log))
	}
}

func (f *fleet) share(i int) float64 { return f.books[i].Share(limit, f.now) }

func (f *fleet) sum() (sum float64) {
	for i := range f.books {
		sum += f.share(i)
	}
	return sum
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

func TestSharesFollowTheTraffic(t *testing.T) {
	f := newFleet(3)
	for _, phase := range []struct {
		rates [3]float64
		want  [3]float64
	}{
		{[3]float64{0, 0, 0}, [3]float64{1. / 3, 1. / 3, 1. / 3}},
		{[3]float64{300, 100, 0}, [3]float64{.9*.75 + .1/3, .9*.25 + .1/3, .1 / 3}},
		{[3]float64{0, 100, 900}, [3]float64{.1 / 3, .9*.1 + .1/3, .9*.9 + .1/3}},
		{[3]float64{5000, 5000, 5000}, [3]float64{1. / 3, 1. / 3, 1. / 3}},
	} {
		for range 12 {
			f.tick(phase.rates[:]...)
		}
		for i, want := range phase.want {
			if got := f.share(i); !near(got, want, .01) {
				t.Errorf("traffic %v: process %d has %.3f, want %.3f", phase.rates, i, got, want)
			}
		}
	}
}

func TestAProcessAloneHasTheWholeLimit(t *testing.T) {
	f := newFleet(1)
	if s := f.share(0); s != 1 {
		t.Errorf("before the first record: %v", s)
	}
	for range 5 {
		f.tick(100)
		if s := f.share(0); !near(s, 1, 1e-5) {
			t.Errorf("got %v", s)
		}
	}
}

// However far each process has read, and whatever the traffic does, what the processes use adds up to at most the limit.
func TestSharesNeverAddUpToMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "processes")
		f := newFleet(n)
		for range 6 { // all have settled
			f.tick(make([]float64, n)...)
		}
		sent := make([]int64, n)
		for i := range sent {
			sent[i] = f.now
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			f.now += rapid.Int64Range(0, second/10).Draw(t, "time")
			i := rapid.IntRange(0, n-1).Draw(t, "process")
			if rapid.Bool().Draw(t, "send") {
				f.send(i, float64(rapid.IntRange(0, 1000).Draw(t, "rate")))
				sent[i] = f.now
			} else {
				f.take(i, f.read[i]+rapid.IntRange(0, 8).Draw(t, "records"))
			}
			for j := range n { // none is silent for so long that the others forget it
				if f.now-sent[j] > second {
					f.send(j, 1)
					f.take(j, len(f.log))
					sent[j] = f.now
				}
			}
			sum := 0.0
			for j, b := range f.books {
				if b.inContact(f.now) {
					sum += f.share(j)
				}
			}
			if sum > 1+1e-9 {
				t.Fatalf("the shares add up to %v", sum)
			}
		}
	})
}

// Traffic that differs from second to second by chance leaves little of the limit unused.
func TestLittleOfTheLimitIsUnused(t *testing.T) {
	f, random := newFleet(4), rand.New(rand.NewPCG(1, 2))
	used, seconds := 0.0, 300
	for s := range seconds + 10 {
		rates := make([]float64, 4)
		for i := range rates {
			rates[i] = 100*float64(i+1) + 10*math.Sqrt(float64(i+1))*random.NormFloat64()
		}
		f.tick(rates...)
		if s >= 10 {
			used += f.sum() / float64(seconds)
		}
	}
	if used < .9 || used > 1 {
		t.Errorf("on average, %.3f of the limit are used", used)
	}
}

func TestTheSharesOfAProcessThatEndedAreDivided(t *testing.T) {
	f := newFleet(3)
	for range 8 {
		f.tick(100, 100, 800)
	}
	for range 10 {
		f.tick(100, 100, -1)
	}
	if a, b := f.share(0), f.share(1); !near(a, .5, .01) || !near(b, .5, .01) {
		t.Errorf("after an end without a word: %.3f and %.3f", a, b)
	}
	f.log = append(f.log, f.books[1].Leave())
	for range 3 {
		f.tick(100, -1, -1)
	}
	if a := f.share(0); a < .9 {
		t.Errorf("3 s after a process said that it leaves, the other one has %.3f", a)
	}
}

func TestWithoutKafkaEachProcessHasAnEqualShare(t *testing.T) {
	f := newFleet(4)
	for range 8 {
		f.tick(700, 100, 100, 100)
	}
	before := f.share(0)
	f.now += contactTime + second // nothing was sent and read
	for i := range f.books {
		f.books[i].Next(map[string]float64{limit: []float64{700, 100, 100, 100}[i]}, f.now) // into the void
		if s := f.share(i); s != .25 {
			t.Errorf("process %d has %v, want a quarter", i, s)
		}
	}
	f.now += 60 * second
	if s := f.sum(); s != 1 {
		t.Errorf("the shares add up to %v", s)
	}
	f.tick(700, 100, 100, 100) // Kafka is back: the shares are those of before
	f.tick(700, 100, 100, 100)
	if s := f.share(0); !near(s, before, .1) {
		t.Errorf("after the outage: %.3f, want about %.3f", s, before)
	}
	for range 8 {
		f.tick(700, 100, 100, 100)
		if s := f.sum(); s >= 2 {
			t.Errorf("the shares add up to %v", s)
		}
	}
	if s := f.sum(); s > 1+1e-9 {
		t.Errorf("long after the outage, the shares add up to %v", s)
	}
}

// One process that is cut off has an equal share; what the others divide again makes the sum larger by that.
func TestTheSumWhileAProcessIsCutOff(t *testing.T) {
	f := newFleet(4)
	for range 8 {
		f.tick(100, 100, 100, 100)
	}
	for range 10 {
		f.tick(100, 100, 100, -1)
	}
	if s := f.books[3].Share(limit, f.now); s != .25 {
		t.Errorf("the process that is cut off has %v", s)
	}
	if s := f.sum(); s > 1.25+1e-9 {
		t.Errorf("the sum is %v", s)
	}
}

// A process that joins has an equal share at once, and the sum is right again when it has settled.
func TestAProcessThatJoinsNeedNotWait(t *testing.T) {
	f := newFleet(3)
	for range 8 {
		f.tick(100, 100, 100)
	}
	f.join("late")
	f.take(3, len(f.log))
	for s := range 10 {
		f.tick(100, 100, 100, 300)
		if got := f.share(3); got < .24 {
			t.Errorf("after %d s it has %v", s+1, got)
		}
		if sum := f.sum(); sum > 1.25+1e-9 || s > 5 && sum > 1+1e-9 {
			t.Errorf("after %d s the sum is %v", s+1, sum)
		}
	}
	if got := f.share(3); !near(got, .9*.5+.1/4, .01) {
		t.Errorf("it settles at %v", got)
	}
}

// Records of strangers: any number of processes, any demand, copies, and other limits.
func TestWhatStrangersCanDo(t *testing.T) {
	f := newFleet(2)
	for range 8 {
		f.tick(100, 100)
	}
	for i := range 3 * maxProcesses {
		f.books[0].Take(event.RateLimits{Node: fmt.Sprint("x", i), Process: "p", Sequence: 1, Limits: []event.LimitClaim{
			{Limit: limit, Demand: 1e15, Want: whole}, {Limit: limit, Demand: 1, Want: -5}, {Limit: "route/none/of/ours", Demand: 1, Want: 1},
		}}, f.now)
	}
	b := f.books[0]
	if n := len(b.processes); n != maxProcesses {
		t.Errorf("%d processes are kept", n)
	}
	for name, p := range b.processes {
		if len(p.claims) > 1 {
			t.Errorf("%s has %d claims", name, len(p.claims))
		}
	}
	r := b.Next(map[string]float64{limit: 100}, f.now)
	if w := r.Limits[0].Want; w < whole*reserve/maxProcesses {
		t.Errorf("it wants %d millionths", w)
	}
	b.Take(r, f.now)
	if s := b.Share(limit, f.now); s <= 0 {
		t.Errorf("its share is %v", s)
	}
	// A record in the name of this process: it loses contact, has an equal share, and returns when the record has expired.
	for range 7 { // the strangers are forgotten
		f.tick(100, 100)
	}
	f.books[0].Take(event.RateLimits{Node: "n0", Process: "p", Sequence: 1 << 40, Limits: []event.LimitClaim{{Limit: limit, Demand: 1, Want: 0}}}, f.now)
	for range 4 {
		f.tick(100, 100)
	}
	if s := f.share(0); s != .5 || f.books[0].inContact(f.now) {
		t.Errorf("after a record in its name, the process has %v", s)
	}
	for range 4 {
		f.tick(100, 100)
	}
	if !f.books[0].inContact(f.now) {
		t.Error("the process does not return")
	}

	b = NewBook("late", "p") // a process always has a place in its own book, also if the book is full
	b.SetLimits(map[string]bool{limit: true})
	for i := range 2 * maxProcesses {
		b.Take(event.RateLimits{Node: fmt.Sprint("x", i), Process: "p", Sequence: 1, Limits: []event.LimitClaim{{Limit: limit, Demand: 1, Want: whole}}}, f.now)
	}
	if b.Take(b.Next(map[string]float64{limit: 100}, f.now), f.now); !b.inContact(f.now) {
		t.Error("a process has no place in its own book")
	}

	copied := f.log[len(f.log)-2]
	before := f.books[1].granted[limit]
	copied.Limits = []event.LimitClaim{{Limit: limit, Demand: 1, Want: whole}}
	f.books[1].Take(copied, f.now)
	if f.books[1].granted[limit] != before {
		t.Error("a copy of a record changes the grants")
	}
}

// The sums by limit are those of the processes, whatever happened.
func TestTheBookAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := NewBook("n", "p"), 1000*second
		limits := []string{"a", "b", "c"}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 2*second).Draw(t, "time")
			known := map[string]bool{}
			for _, l := range limits {
				known[l] = rapid.Bool().Draw(t, l)
			}
			if rapid.IntRange(0, 4).Draw(t, "configuration") == 0 {
				b.SetLimits(known)
			}
			r := event.RateLimits{Node: rapid.SampledFrom([]string{"n", "m", "o"}).Draw(t, "node"), Process: "p", Sequence: int64(rapid.IntRange(0, 50).Draw(t, "sequence"))}
			for _, l := range limits {
				r.Limits = append(r.Limits, event.LimitClaim{Limit: l, Demand: 1, Want: int64(rapid.IntRange(0, whole).Draw(t, "want"))})
			}
			b.Take(r, now)
			sums := map[string]int64{}
			for _, p := range b.processes {
				for l, c := range p.claims {
					sums[l] += c.granted
				}
			}
			for _, l := range limits {
				if sums[l] != b.granted[l] || sums[l] > whole {
					t.Fatalf("%s: %d are granted, the book has %d", l, sums[l], b.granted[l])
				}
			}
		}
	})
}
