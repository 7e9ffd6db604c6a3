package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/event"
)

// chainOf makes the values of n records of a node.
func chainOf(node string, n int) (values [][]byte) {
	l := link{seq: 10}
	for i := range n {
		var v []byte
		l, v = l.append(event.AuditLog{
			AuditID: fmt.Sprint(i), Node: node, Timestamp: time.Unix(int64(i+1), 0).UTC(), Actor: event.Actor{Type: "user", ID: "kim"}, Action: "drain.instance",
			Target: event.Target{Kind: "instance", ID: "s/i"}, Result: event.ResultSuccess,
		})
		values = append(values, v)
	}
	return values
}

func verify(values ...[]byte) Result {
	var v Verifier
	for _, x := range values {
		v.Add(x)
	}
	return v.Result()
}

func TestAChainThatNobodyTouchedIsIntact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := chainOf("n", rapid.IntRange(1, 40).Draw(t, "n"))
		values = values[rapid.IntRange(0, len(values)-1).Draw(t, "retention"):] // what is older is gone
		var log [][]byte
		for i, v := range values {
			log = append(log, v)
			if rapid.IntRange(0, 4).Draw(t, "again") == 0 {
				log = append(log, values[max(0, i-rapid.IntRange(0, 2).Draw(t, "back"))])
			}
			if rapid.IntRange(0, 4).Draw(t, "other") == 0 {
				log = append(log, chainOf("m", 1)[0], []byte("nonsense"))
			}
		}
		r := verify(log...)
		i := slices.IndexFunc(r.Chains, func(c Chain) bool { return c.Node == "n" })
		if r.State != Intact || r.Chains[i].Records != len(values) || len(r.Chains[i].Breaks) != 0 || r.Chains[i].Unchained > 1 {
			t.Fatalf("%+v", r)
		}
	})
}

func TestWhatWasTakenOutOrChangedShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := chainOf("n", rapid.IntRange(3, 30).Draw(t, "n"))
		at := rapid.IntRange(1, len(values)-2).Draw(t, "at") // the ends are beyond proof
		seq := uint64(11 + at)
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			count := rapid.IntRange(1, len(values)-1-at).Draw(t, "count")
			r := verify(slices.Delete(values, at, at+count)...)
			want := Break{Gap, seq, seq + uint64(count) - 1, time.Unix(int64(at+count+1), 0).UTC(), fmt.Sprintf("%d records are missing", count)}
			if r.State != Gap || len(r.Chains[0].Breaks) != 1 || r.Chains[0].Breaks[0] != want {
				t.Fatalf("taken out: %+v, want %+v", r, want)
			}
		case 1:
			values[at] = bytes.Replace(values[at], []byte("kim"), []byte("ann"), 1)
			r := verify(values...)
			if r.State != Altered || r.Chains[0].Breaks[0].FromSeq != seq || len(r.Chains[0].Breaks) != 1 {
				t.Fatalf("changed: %+v, want record %d", r, seq)
			}
		case 2:
			values[at], values[at+1] = values[at+1], values[at]
			if r := verify(values...); r.State == Intact {
				t.Fatalf("two that changed places: %+v", r)
			}
		}
	})
}

func TestRecordsOfOlderVersionsAreSaidToBeSo(t *testing.T) {
	var old [][]byte
	for i := range 3 {
		a, err := event.DecodeAuditLog(chainOf("n", i+1)[i])
		if err != nil {
			t.Fatal(err)
		}
		a.Prev, a.AuditID, a.Seq = "", "old", uint64(i)
		old = append(old, a.AppendJSON(nil))
	}
	c := verify(append(old, chainOf("n", 2)...)...).Chains[0]
	if c.Records != 5 || c.Unchained != 3 || c.Begins != 1 || c.State != Intact {
		t.Errorf("%+v", c)
	}
}

func TestTheChainGoesOnOverRestartsAndKills(t *testing.T) {
	dir := t.TempDir()
	s := &sender{more: make(chan struct{}, 100)}
	start := func() (*Log, func() error) {
		l, err := New("n1", dir, s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return l, run(l)
	}
	record := func(l *Log) {
		l.Record(event.AuditLog{Actor: event.Actor{Type: "system"}, Action: "drain.instance"})
		<-s.more
	}
	l, stop := start()
	record(l)
	record(l)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	l, stop = start()
	record(l)
	killed, err := os.ReadFile(chainPath(dir)) // as it is on disk when a kill comes
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(chainPath(dir), killed, 0o600); err != nil {
		t.Fatal(err)
	}
	l, stop = start()
	<-s.more // delivered again: nobody had seen that it arrived
	record(l)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	var values [][]byte
	for _, a := range s.got {
		values = append(values, a.AppendJSON(nil))
	}
	if c := verify(values...).Chains[0]; c.State != Intact || c.Records != 4 || c.Repeated != 1 || c.Begins != 1 {
		t.Errorf("%+v", c)
	}
	// A file that is damaged, or a directory that is lost, begins anew and says so.
	if err := os.WriteFile(chainPath(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, stop = start()
	record(l)
	record(l)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, a := range s.got[len(s.got)-2:] {
		values = append(values, a.AppendJSON(nil))
	}
	if c := verify(values...).Chains[0]; c.State != Intact || c.Begins != 2 || c.Records != 6 || c.Unchained != 0 {
		t.Errorf("begun anew: %+v", c)
	}
}
