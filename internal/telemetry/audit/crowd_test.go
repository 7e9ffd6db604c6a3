package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

func failed(name, reason string) event.AuditLog {
	return event.AuditLog{Actor: event.Actor{Type: "user", ID: name}, Action: "login.user", Target: event.Target{Kind: "user", ID: name}, Result: event.ResultDenied, Reason: reason}
}

func done(user, what string) event.AuditLog {
	return event.AuditLog{Actor: event.Actor{Type: "user", ID: user}, Action: what, Result: event.ResultSuccess}
}

// delivered collects what is sent.
func delivered(t *testing.T, into *[]event.AuditLog) senderFunc {
	return func(value []byte) error {
		a, err := event.DecodeAuditLog(value)
		if err != nil {
			t.Errorf("%s: %v", value, err)
		}
		*into = append(*into, a)
		return nil
	}
}

// 6,400 callbacks a second without a login filled the queue, and what operators
// did in that time was dropped.
func TestStrangersDoNotDropTheRecordsOfUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []event.AuditLog
		l, err := New("n1", "", delivered(t, &got), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100_000 { // while Kafka is away, or all at once
			l.Unauthenticated(failed(fmt.Sprint("guess", i%50_000), "name or password is wrong"), fmt.Sprintf("203.0.113.%d", i%250))
			l.Unauthenticated(failed("", "this login was not begun here"), "203.0.113.9")
			if i%1000 == 0 {
				l.Record(done("ann", "drain.instance"))
			}
		}
		if len(l.queue) != 100 {
			t.Fatalf("%d are queued", len(l.queue))
		}
		stop := run(l)
		time.Sleep(2*crowdEvery + time.Second)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		users, sums := 0, []event.AuditLog{}
		for _, a := range got {
			if a.Actor.Type == "unauthenticated" {
				sums = append(sums, a)
				continue
			}
			users++
		}
		if users != 100 || l.Dropped() != 0 {
			t.Errorf("%d records of users, %d dropped", users, l.Dropped())
		}
		if len(sums) != 1 || sums[0].Action != "login.user" || sums[0].Result != event.ResultDenied || !strings.Contains(sums[0].Reason, "200000 attempts") {
			t.Fatalf("%+v", sums)
		}
		var seen struct {
			Attempts                  int
			Users, Addresses, Reasons []counted
		}
		if err := json.Unmarshal(sums[0].After, &seen); err != nil || seen.Attempts != 200_000 || len(seen.Users) > crowdListed || seen.Addresses[0].Value != "203.0.113.9" || len(seen.Reasons) != 2 {
			t.Errorf("%s %v", sums[0].After, err)
		}
	})
}

func TestAFailedLoginIsRecordedWithinTwoIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []event.AuditLog
		l, err := New("n1", "", delivered(t, &got), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		stop := run(l)
		time.Sleep(time.Hour)
		l.Unauthenticated(failed("ann", "name or password is wrong"), "203.0.113.9")
		time.Sleep(2 * crowdEvery)
		synctest.Wait()
		if len(got) != 1 || got[0].Target.ID != "ann" || !strings.Contains(got[0].Reason, "1 attempts") {
			t.Errorf("%+v", got)
		}
		l.Unauthenticated(failed("ann", "\xff"+strings.Repeat("x", 10_000)), "")
		if err := stop(); err != nil { // at the end too
			t.Fatal(err)
		}
		if len(got) != 2 || len(got[1].Reason) > 2*crowdText || len(got[1].After) > 1000 {
			t.Errorf("%+v", got)
		}
	})
}

// A viewer who tries what viewers may not do is no stranger, and can try it as
// fast.
func TestOneUserDoesNotDropTheRecordsOfOthers(t *testing.T) {
	for name, record := range map[string]event.AuditLog{
		"refused":   {Actor: event.Actor{Type: "user", ID: "eve"}, Action: "drain.instance", Result: event.ResultDenied, Reason: "eve is viewer"},
		"failed":    {Actor: event.Actor{Type: "user", ID: "eve"}, Action: "produce.message", Result: event.ResultError, Reason: "no such topic"},
		"succeeded": done("eve", "produce.message"),
	} {
		l, err := New("n1", "", senderFunc(func([]byte) error { return errors.New("away") }), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for range 50_000 {
			l.Record(record)
		}
		before := l.Dropped()
		for i := range 200 {
			l.Record(done(fmt.Sprint("operator", i%3), "drain.instance"))
			l.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "apply.config"})
		}
		if l.Dropped() != before {
			t.Errorf("%s: %d records of others were dropped", name, l.Dropped()-before)
		}
		if name == "refused" && (before != 0 || len(l.queue) != singly+400) {
			t.Errorf("%s: %d dropped, %d queued", name, before, len(l.queue))
		}
		for len(l.queue) > 0 {
			l.taken(<-l.queue)
		}
		if len(l.queued) != 0 {
			t.Errorf("%s: %v are counted as queued", name, l.queued)
		}
	}
}

// What was never written by a node, or by another, is not called proven.
func TestTheVerdictSaysThatAddedRecordsDoNotShow(t *testing.T) {
	r := verify(chainOf("n", 3)...)
	forged := verify(append(chainOf("n", 3), chainOf("invented", 5)...)...)
	for _, x := range []Result{r, forged} {
		if x.State != Intact || x.Authenticity != Unproven || !strings.Contains(x.Note, "can add records") {
			t.Errorf("%+v", x)
		}
	}
}

// Proven is said only where every record is signed: neither records from before
// the keys nor copies of signed ones make it so.
func TestTheVerdictSaysWhetherAllRecordsAreSigned(t *testing.T) {
	signed, unsigned, bad := sign.Verdict{State: sign.Signed, Key: "k"}, sign.Verdict{State: sign.Unsigned}, sign.Verdict{State: sign.Bad}
	values := chainOf("n", 4)
	for _, c := range []struct {
		name string
		by   []sign.Verdict
		copy bool
		want string
	}{
		{"all", []sign.Verdict{signed, signed, signed, signed}, false, Proven},
		{"all, one of them twice", []sign.Verdict{signed, signed, signed, signed}, true, Proven},
		{"from the second on", []sign.Verdict{unsigned, signed, signed, signed}, false, Partial},
		{"from the second on, one of them twice", []sign.Verdict{unsigned, signed, signed, signed}, true, Partial},
		{"none", []sign.Verdict{unsigned, unsigned, unsigned, unsigned}, false, Partial},
		{"a forged one", []sign.Verdict{signed, signed, signed, bad}, false, Partial},
		{"without keys", []sign.Verdict{{}, {}, {}, {}}, false, Unproven},
	} {
		var v Verifier
		for i, value := range values {
			v.AddSigned(value, c.by[i])
		}
		if c.copy {
			v.AddSigned(values[3], c.by[3])
		}
		if r := v.Result(); r.Authenticity != c.want || r.Note == "" {
			t.Errorf("%s: %s, want %s", c.name, r.Authenticity, c.want)
		}
	}
}

// Names of nodes in records are whatever their writer chose.
func TestAVerifierIsBounded(t *testing.T) {
	var v Verifier
	one := chainOf("node-000000", 1)[0]
	for i := range 5 * maxChains {
		v.Add(bytes.ReplaceAll(one, []byte("node-000000"), fmt.Appendf(nil, "node-%06d", i)))
	}
	if r := v.Result(); len(r.Chains) != maxChains || r.Omitted != 4*maxChains {
		t.Errorf("%d chains, %d omitted", len(r.Chains), r.Omitted)
	}
}
