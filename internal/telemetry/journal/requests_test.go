package journal

import (
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/mask"
)

func logged(target, client string) event.AccessLog {
	return event.AccessLog{Timestamp: time.Now().UTC(), Node: "n", Method: "GET", Target: target, Client: client, Status: 200, ServiceID: "shop", InstanceID: "shop-1", Route: "all"}
}

func TestRequestsAreReadWithoutHiddenFields(t *testing.T) {
	r := newRig(t)
	r.cfg.Mask = mask.Rules{{Topics: []string{"access-*"}, Fields: []string{"client"}}}
	for _, a := range []event.AccessLog{logged("/one", "192.0.2.1"), logged("/two", "192.0.2.2")} {
		r.send(t, event.TopicAccessLogs, "n", a.AppendJSON(nil))
	}
	r.send(t, event.TopicAccessLogs, "n", []byte(`{"status":"junk"}`))
	s := Requests(r.cfg)
	run(t, s.Run)
	for text, want := range map[string]int{"": 2, "TWO": 1, "192.0.2": 0, mask.Hidden: 2} {
		got, err := s.Recent(t.Context(), 10, RequestFilter{Text: text}.Match)
		if err != nil || len(got) != want {
			t.Fatalf("%q: %+v %v", text, got, err)
		}
		for _, q := range got {
			if q.Client != mask.Hidden {
				t.Errorf("the client is %q", q.Client)
			}
		}
		if text == "" && (got[0].Target != "/two" || got[0].Offset != 1) {
			t.Errorf("the newest is %+v", got[0])
		}
	}
	sub := s.Subscribe(10, RequestFilter{Text: "three"}.Match)
	defer sub.Close()
	a := logged("/three", "192.0.2.3")
	r.send(t, event.TopicAccessLogs, "n", a.AppendJSON(nil))
	var got []Request
	for i := 0; len(got) == 0 && i < 2000; i++ {
		time.Sleep(50 * time.Millisecond)
		got, _ = sub.Take()
	}
	if len(got) != 1 || got[0].Target != "/three" || got[0].Client != mask.Hidden {
		t.Errorf("got %+v", got)
	}
}

func TestRequestFiltersTakeWhatTheyName(t *testing.T) {
	a := logged("/Users?q=1", "192.0.2.1")
	a.Host, a.User, a.RequestID, a.Status, a.Failure, a.Retried = "shop.example", "Ann", "r1", 502, "connect-refused", []string{"503"}
	for _, c := range []struct {
		f    RequestFilter
		want bool
	}{
		{RequestFilter{}, true},
		{RequestFilter{Service: "shop", Instance: "shop-1", Route: "all", Method: "get", Node: "n", Outcome: "5xx", Text: "/users"}, true},
		{RequestFilter{Service: "sho"}, false}, {RequestFilter{Instance: "shop"}, false}, {RequestFilter{Route: "al"}, false}, {RequestFilter{Method: "POST"}, false}, {RequestFilter{Node: "m"}, false},
		{RequestFilter{Outcome: "502"}, true}, {RequestFilter{Outcome: "ok"}, false}, {RequestFilter{Outcome: "failed"}, true}, {RequestFilter{Outcome: "retried"}, true},
		{RequestFilter{Outcome: "connect-refused"}, true}, {RequestFilter{Outcome: "4xx"}, false},
		{RequestFilter{Text: "EXAMPLE"}, true}, {RequestFilter{Text: "ann"}, true}, {RequestFilter{Text: "R1"}, true}, {RequestFilter{Text: "192.0.2.1"}, true}, {RequestFilter{Text: "GET"}, false},
	} {
		if got := c.f.Match(&Request{AccessLog: a}); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}
