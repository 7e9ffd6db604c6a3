package audit

import (
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

func chained(n int) (values [][]byte) {
	l := newLink()
	for range n {
		var value []byte
		l, value = l.append(event.AuditLog{AuditID: newID(), Timestamp: time.Now().UTC(), Node: "n", Actor: event.Actor{Type: "user", ID: "ada"}, Action: "drain.instance", Result: event.ResultSuccess})
		values = append(values, value)
	}
	return values
}

// A writer of audit-logs could make a chain in any node's name, and
// "intact" was said of it.
func TestForgedRecordsAreNotIntact(t *testing.T) {
	signed, unsigned, bad, unchecked := sign.Verdict{State: sign.Signed, Key: "k"}, sign.Verdict{State: sign.Unsigned}, sign.Verdict{State: sign.Bad}, sign.Verdict{}
	ours, forged := chained(4), chained(3)
	type step struct {
		value []byte
		by    sign.Verdict
	}
	all := func(by sign.Verdict, values ...[]byte) (out []step) {
		for _, v := range values {
			out = append(out, step{v, by})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		log    []step
		want   string
		forged int
	}{
		{"signed", all(signed, ours...), Intact, 0},
		{"without keys", all(unchecked, ours...), Intact, 0},
		{"nothing is signed", all(unsigned, ours...), Unauthenticated, 0},
		{"keys came later", append(all(unsigned, ours[:2]...), all(signed, ours[2:]...)...), Intact, 0},
		{"unsigned among signed", append(append(all(signed, ours[:2]...), all(unsigned, forged...)...), all(signed, ours[2:]...)...), Forged, 3},
		{"wrongly signed", append(all(signed, ours...), all(bad, forged[:1]...)...), Forged, 1},
		{"wrongly signed alone", all(bad, forged...), Forged, 3},
		{"a signed one is missing", append(all(signed, ours[:1]...), all(signed, ours[2:]...)...), Gap, 0},
	} {
		var v Verifier
		for _, s := range c.log {
			v.AddSigned(s.value, s.by)
		}
		r := v.Result()
		if r.State != c.want || len(r.Chains) != 1 || r.Chains[0].Forged != c.forged {
			t.Errorf("%s: %+v", c.name, r)
		}
		if c.name == "unsigned among signed" && len(r.Chains[0].Breaks) != 3 {
			t.Errorf("forged records broke the chain of the others: %+v", r.Chains[0].Breaks)
		}
	}
}

func TestInventedNodesAreBounded(t *testing.T) {
	var v Verifier
	for range maxChains + 100 {
		value := event.AuditLog{AuditID: newID(), Timestamp: time.Now().UTC(), Node: newID(), Seq: 1, Actor: event.Actor{Type: "user"}, Action: "x", Result: event.ResultSuccess}.AppendJSON(nil)
		v.AddSigned(value, sign.Verdict{State: sign.Bad})
		v.Add(value)
	}
	if r := v.Result(); len(r.Chains) != maxChains || r.Omitted == 0 {
		t.Errorf("%d chains, %d left out", len(r.Chains), r.Omitted)
	}
}
