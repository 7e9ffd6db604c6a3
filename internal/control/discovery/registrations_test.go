package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/config"
)

// table is registrations of one service whose clock is turned by hand.
type table struct {
	*Registrations
	now time.Time
}

func newTable(most int) *table {
	w := &table{NewRegistrations(), begin}
	w.open("s", Bounds{Most: most, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, newPorts([]string{"80", "8000-8100"}), false)
	w.Live(true, w.now)
	return w
}

func (w *table) says(instance, address string) string {
	return w.Observe(Announcement{Service: "s", Instance: instance, Address: address}, w.now)
}

func (w *table) list() string {
	if w.live {
		w.Live(true, w.now)
	}
	found, _, live := w.Registrations.list("s")
	if !live {
		return "nothing can be said"
	}
	slices.SortFunc(found, func(a, b config.Instance) int { return strings.Compare(a.ID, b.ID) })
	var out []string
	for _, in := range found {
		text := in.ID + " " + in.Address
		if in.Draining {
			text += " draining"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestAnInstanceThatIsSilentForThreeIntervalsLeaves(t *testing.T) {
	w := newTable(10)
	for range 10 {
		w.says("a", "10.0.0.1:80")
		w.now = w.now.Add(2 * time.Second)
	}
	for _, row := range []struct {
		after time.Duration
		want  string
	}{{0, "a 10.0.0.1:80"}, {4 * time.Second, "a 10.0.0.1:80"}, {4100 * time.Millisecond, ""}} {
		later := *w
		later.now = w.now.Add(row.after) // the last message was 2 s before
		if got := later.list(); got != row.want {
			t.Errorf("%v after it: %q, want %q", row.after+2*time.Second, got, row.want)
		}
	}
}

// Reporters send less often while nothing changes: each pause is at most twice as long as the one before.
func TestAReporterThatSlowsDownStays(t *testing.T) {
	w := newTable(10)
	for pause := time.Second; pause <= 30*time.Second; pause *= 2 {
		w.says("a", "10.0.0.1:80")
		for end := w.now.Add(pause); w.now.Before(end); w.now = w.now.Add(250 * time.Millisecond) {
			if w.list() == "" {
				t.Fatalf("it left in a pause of %v", pause)
			}
		}
	}
}

func TestSilenceMeansNothingWithoutKafka(t *testing.T) {
	w := newTable(10)
	for range 3 {
		w.says("a", "10.0.0.1:80")
		w.now = w.now.Add(time.Second)
	}
	w.Live(false, w.now)
	w.now = w.now.Add(time.Hour)
	if got := w.list(); got != "nothing can be said" {
		t.Errorf("without Kafka: %s", got)
	}
	w.Live(true, w.now)
	if got := w.list(); got != "a 10.0.0.1:80" {
		t.Errorf("when Kafka is back: %q", got)
	}
	w.now = w.now.Add(4 * time.Second)
	if got := w.list(); got != "" {
		t.Errorf("three intervals later: %q", got)
	}
}

// Silence since the latest answer of a broker is that of the brokers, also before the node knows that they are gone.
func TestSilenceOfBrokersIsNotThatOfInstances(t *testing.T) {
	w := newTable(10)
	for range 3 {
		w.says("a", "10.0.0.1:80")
		w.now = w.now.Add(time.Second)
	}
	w.Live(true, w.now)
	w.now = w.now.Add(time.Hour)
	if found, _, live := w.Registrations.list("s"); len(found) != 1 || !live {
		t.Errorf("%v, live %v", found, live)
	}
}

// Anybody may write DRAINING. It announces an end only if a key signed it, or if the instance is silent too.
func TestAGoodbyeCountsIfItIsTrue(t *testing.T) {
	w := newTable(10)
	say := func(a Announcement) { a.Service = "s"; w.Observe(a, w.now) }
	for range 3 {
		w.says("a", "10.0.0.1:80")
		w.says("b", "10.0.0.2:80")
		w.says("c", "10.0.0.3:80")
		w.now = w.now.Add(time.Second)
	}
	say(Announcement{Instance: "a", Leaving: true})
	say(Announcement{Instance: "b", Leaving: true, Signed: w.now})
	say(Announcement{Instance: "nobody", Leaving: true})
	w.says("c", "10.0.0.3:80")
	if got := w.list(); got != "a 10.0.0.1:80, b 10.0.0.2:80 draining, c 10.0.0.3:80" {
		t.Errorf("at once: %s", got)
	}
	w.now = w.now.Add(1600 * time.Millisecond)
	if got := w.list(); got != "a 10.0.0.1:80 draining, b 10.0.0.2:80 draining, c 10.0.0.3:80" {
		t.Errorf("after one and a half intervals: %s", got)
	}
	say(Announcement{Instance: "b", Staying: true})
	w.now = w.now.Add(2 * time.Second)
	w.says("b", "10.0.0.2:80")
	if got := w.list(); got != "b 10.0.0.2:80" {
		t.Errorf("in the end: %s", got)
	}
}

func TestWhoMayRegister(t *testing.T) {
	w := newTable(3)
	w.says("a", "10.0.0.1:80")
	w.says("b", "10.0.0.2:8050")
	for _, row := range []struct{ instance, address, want string }{
		{"c", "192.168.0.1:80", `instance "c" with the address "192.168.0.1:80": is in no network of allow`},
		{"c", "app.test:80", "is a host name"},
		{"c", "10.0.0.3", "want host:port"},
		{"c", "unix:/run/x", "want host:port"},
		{"_all", "10.0.0.3:80", "id"},
		{"c/d", "10.0.0.3:80", "want 1 to 128 letters"},
		{"c", "10.0.0.3:81", "its port is not in discovery.kafka.ports"},
		{"a", "10.0.0.9:80", `it reports with the address 10.0.0.1:80`},
		{"c", "10.0.0.1:80", `the instance "a" reports with this address`},
		{"c", "10.0.0.3:8000", ""},
		{"d", "10.0.0.4:80", "3 instances are registered, maxInstances permits no more"},
	} {
		if got := w.says(row.instance, row.address); (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s at %s: %q, want %q", row.instance, row.address, got, row.want)
		}
	}
	if got := w.list(); got != "a 10.0.0.1:80, b 10.0.0.2:8050, c 10.0.0.3:8000" {
		t.Errorf("in the end %s", got)
	}
	if n, why := w.refusals("s"); n != 10 || !strings.Contains(why, "no more") {
		t.Errorf("%d refusals, the latest: %s", n, why)
	}
	w.now = w.now.Add(time.Minute) // all are silent
	if got := w.says("a", "10.0.0.9:80"); got != "" || w.list() != "a 10.0.0.9:80" {
		t.Errorf("a silent instance returns with another address: %q, %s", got, w.list())
	}
	if got := w.Observe(Announcement{Service: "other", Instance: "a", Address: "nonsense"}, w.now); got != "" {
		t.Errorf("a service without registration: %s", got)
	}
}

func TestOnlySignedMessagesCountIfTheServiceWantsThem(t *testing.T) {
	w := newTable(10)
	w.open("s", Bounds{Most: 10, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, newPorts([]string{"80"}), true)
	w.Live(true, w.now)
	signed := func(age time.Duration, a Announcement) string {
		a.Service, a.Address, a.Signed = "s", "10.0.0.2:80", w.now.Add(-age)
		return w.Observe(a, w.now)
	}
	if got := w.says("a", "10.0.0.1:80"); got != `instance "a": no key for the service signed its message, and requireSignature is true` {
		t.Error(got)
	}
	for _, age := range []time.Duration{91 * time.Second, -91 * time.Second} {
		if got := signed(age, Announcement{Instance: "old"}); !strings.Contains(got, "its message was signed at 2") {
			t.Errorf("signed %v before: %s", age, got)
		}
	}
	if got := signed(0, Announcement{Instance: "b"}); got != "" || w.list() != "b 10.0.0.2:80" {
		t.Errorf("%s: %s", got, w.list())
	}
	// An old message that is appended again says nothing. The order of reports and statuses is that of their topics.
	if got := signed(10*time.Second, Announcement{Instance: "b", Staying: true}); got != "" {
		t.Error(got)
	}
	if got := signed(5*time.Second, Announcement{Instance: "b", Leaving: true}); got != "" || w.list() != "b 10.0.0.2:80 draining" {
		t.Errorf("%s: %s", got, w.list())
	}
	for _, again := range []Announcement{{Instance: "b", Staying: true}, {Instance: "b"}} {
		if got := signed(10*time.Second, again); !strings.Contains(got, "signed later arrived before") || w.list() != "b 10.0.0.2:80 draining" {
			t.Errorf("%+v: %s: %s", again, got, w.list())
		}
	}
	if n, _ := w.refusals("s"); n != 5 {
		t.Errorf("%d refusals, want 5", n)
	}
}

// A service that begins to permit registration is not live until the latest messages were read again: its instances may have
// sent theirs before.
func TestANewServiceReadsTheLatestMessagesAgain(t *testing.T) {
	w := newTable(10)
	w.says("a", "10.0.0.1:80")
	reading := w.Wanted()
	done := w.open("s", Bounds{Most: 10, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, newPorts([]string{"80"}), false)
	if w.Wanted() == reading || w.list() != "nothing can be said" {
		t.Errorf("%d after %d, %s", w.Wanted(), reading, w.list())
	}
	if w.Live(true, w.now); w.list() != "a 10.0.0.1:80" {
		t.Errorf("what is known is lost: %s", w.list())
	}
	if done(); w.Wanted() != 0 {
		t.Error("no service wants messages any more")
	}
}

// TestRegistrationsStayWithinTheirBounds: whatever strangers write, there are at most as many instances as permitted, each at a
// permitted address that no other has, and an instance that reports keeps its address.
func TestRegistrationsStayWithinTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTable(5)
		addresses := map[string]string{}
		for range rapid.IntRange(1, 60).Draw(t, "messages") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "ms")) * time.Millisecond)
			for range 3 { // the honest one reports
				w.says("honest", "10.0.0.1:80")
			}
			w.Observe(Announcement{
				Service: "s", Instance: rapid.SampledFrom([]string{"honest", "a", "b", "c", "d", "e", "f", "_all", ""}).Draw(t, "instance"),
				Address: rapid.SampledFrom([]string{"", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:8000", "10.0.0.4:22", "11.0.0.1:80", "[::ffff:10.0.0.1]:80", "x"}).Draw(t, "address"),
				Leaving: rapid.Bool().Draw(t, "leaving"), Staying: rapid.Bool().Draw(t, "staying"),
			}, w.now)
			w.Live(true, w.now)
			found, _, _ := w.Registrations.list("s")
			if len(found) > 5 {
				t.Fatalf("%d instances", len(found))
			}
			clear(addresses)
			for _, in := range found {
				if in.Check() != nil || w.services["s"].bounds.address(in.Address) != nil || in.Draining && in.ID == "honest" {
					t.Fatalf("%+v", in)
				}
				addresses[in.ID] = in.Address
			}
			if addresses["honest"] != "10.0.0.1:80" {
				t.Fatalf("the honest instance is at %q", addresses["honest"])
			}
		}
	})
}

func TestPortRanges(t *testing.T) {
	for text, want := range map[string]string{"80": "80 80 true", "1-65535": "1 65535 true", "9-8": "9 8 false", "0": "0 0 false", "-1": "0 1 false", "": "0 0 false", "1-": "1 0 false", "70000": "65535 65535 false", "1-2-3": "1 0 false"} {
		first, last, ok := config.PortRange(text)
		if got := fmt.Sprint(first, last, ok); got != want && ok != strings.HasSuffix(want, "true") {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}
