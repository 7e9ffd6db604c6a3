package dispatch

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// browser is a request with the cookie of the latest response.
type browser struct {
	head
	cookie string
}

func (b *browser) Cookie(name string) ([]byte, bool) {
	return []byte(b.cookie), name == "C" && b.cookie != ""
}

// keep stores the cookie of a response.
func (b *browser) keep(x *Exchange) bool {
	if !x.WantsSessionCookie() {
		return false
	}
	b.cookie, _, _ = strings.Cut(strings.TrimPrefix(string(x.AppendSessionCookie(nil, false)), "C="), ";")
	return true
}

func withSessions(d *Dispatcher, ids ...string) {
	r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	r.Split[0].Session = affinity.NewKeys().For("s", affinity.Settings{Cookie: "C"}, ids)
}

func TestAClientStaysWithItsInstance(t *testing.T) {
	d, s, _, _ := setup(t, 3, defaultRetry())
	withSessions(d, "i0", "i1", "i2")
	x, b := NewExchange(1), &browser{head: head{"GET", "/s"}}
	ask := func(o Outcome) (instance string, set bool) {
		d.Begin(x, b, second)
		d.Settle(x, o, second)
		set = o.Failure == None && b.keep(x)
		return d.End(x, second).Instance, set
	}
	ok := Outcome{Status: 200, Sent: true}
	first, set := ask(ok)
	if !set {
		t.Fatal("no cookie")
	}
	for range 5 {
		if in, set := ask(ok); in != first || set {
			t.Fatalf("%s after %s, cookie %v", in, first, set)
		}
	}
	if _, set := ask(Outcome{Status: 503, Sent: true}); set {
		t.Error("an error of the server binds the client")
	}
	// A retry answers: the client moves.
	d.Begin(x, b, second)
	if v := d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, second); v.Action != Forward || v.Live.Instance == first {
		t.Fatalf("the retry: %+v", v)
	}
	d.Settle(x, ok, second)
	moved := b.keep(x)
	other := d.End(x, second).Instance
	if !moved || other == first {
		t.Fatalf("moved %v, from %s to %s", moved, first, other)
	}
	if in, set := ask(ok); in != other || set {
		t.Errorf("%s after %s, cookie %v", in, other, set)
	}
	b.cookie = "forged"
	if _, set := ask(ok); !set {
		t.Error("a forged cookie is kept")
	}
	if got := fmt.Sprint(s.Sessions[upstream.SessionKept].Load(), s.Sessions[upstream.SessionNew].Load(), s.Sessions[upstream.SessionMoved].Load()); got != "8 2 0" {
		t.Errorf("kept, new and moved: %s", got)
	}
}

// A split draws the service of new clients only.
func TestAClientStaysWithItsServiceOfASplit(t *testing.T) {
	d, _, _, _ := setup(t, 1, Retry{})
	_, other, _, _ := setup(t, 1, Retry{})
	r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	keys := affinity.NewKeys()
	r.Split = append(r.Split, Share{Service: other, Weight: 1})
	r.Total = 2
	for i, id := range []string{"old", "new"} {
		r.Split[i].Service.ID = id
		r.Split[i].Session = keys.For(id, affinity.Settings{Cookie: "C"}, []string{"i0"})
	}
	x, services := NewExchange(1), map[string]int{}
	for range 50 {
		b, first := &browser{head: head{"GET", "/s"}}, ""
		for i := range 4 {
			d.Begin(x, b, second)
			d.Settle(x, Outcome{Status: 200, Sent: true}, second)
			set := b.keep(x)
			service := d.End(x, second).Service
			if i == 0 {
				first = service
				services[service]++
			}
			if service != first || set != (i == 0) {
				t.Fatalf("request %d of a client of %s went to %s, cookie %v", i, first, service, set)
			}
		}
	}
	if services["old"] < 10 || services["new"] < 10 {
		t.Errorf("clients of the services: %v", services)
	}
}

// Whatever instances do, a client whose instance is in rotation gets it, and has a cookie only for an instance that
// answered it.
func TestSessionsOverChangesOfThePool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, s, _, _ := setup(unwrap{t}, 3, Retry{})
		withSessions(d, "i0", "i1", "i2")
		x, clients := NewExchange(rapid.Uint64().Draw(t, "seed")), make([]browser, 3)
		at := map[*browser]string{}
		for i := range clients {
			clients[i].head = head{"GET", "/s"}
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p := *s.Pool()
			p.Members, p.Live = append([]upstream.Member{}, p.Members...), nil
			for i := range p.Members {
				p.Members[i].Out = upstream.In
				if rapid.IntRange(0, 3).Draw(t, "out") == 0 {
					p.Members[i].Out = upstream.Ejected
				}
				if p.Members[i].Out == upstream.In {
					p.Live = append(p.Live, int32(i))
				}
			}
			s.Swap(&p)
			b := &clients[rapid.IntRange(0, 2).Draw(t, "client")]
			in := func(id string) bool {
				for _, i := range p.Live {
					if p.Members[i].Instance == id {
						return true
					}
				}
				return false
			}
			if v := d.Begin(x, b, second); v.Action == Forward {
				if id := at[b]; in(id) && v.Live.Instance != id {
					t.Fatalf("%s got the client of %s", v.Live.Instance, id)
				}
				d.Settle(x, Outcome{Status: rapid.SampledFrom([]int{200, 404, 500}).Draw(t, "status"), Sent: true}, second)
				if b.keep(x) {
					at[b] = x.Instance()
				}
			}
			d.End(x, second)
		}
	})
}
