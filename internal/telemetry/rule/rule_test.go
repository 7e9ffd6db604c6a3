package rule

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/event"
)

var (
	epoch  = time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)
	slow   = Rule{ID: "slow", Severity: event.SeverityWarning, For: 3 * time.Second, Keep: 2 * time.Second}
	labels = map[string]string{"service": "s", "instance": "i"}
)

// play judges once per second and returns the statuses published, by second.
func play(e *Engine, r Rule, verdicts ...Verdict) map[int]string {
	out := map[int]string{}
	for sec, v := range verdicts {
		if a, changed := e.Judge(Judgement{Rule: r, Labels: labels, Verdict: v}, epoch.Add(time.Duration(sec)*time.Second)); changed {
			out[sec] = a.Status
		}
	}
	return out
}

func TestAlertLife(t *testing.T) {
	for name, c := range map[string]struct {
		verdicts []Verdict
		want     map[int]string
	}{
		"good news makes no alert":               {[]Verdict{Good, Unsure, Good}, map[int]string{}},
		"bad for long enough fires":              {[]Verdict{Bad, Bad, Bad, Bad}, map[int]string{0: "pending", 3: "firing"}},
		"bad too briefly never fires":            {[]Verdict{Bad, Bad, Good, Good}, map[int]string{0: "pending", 2: "resolved"}},
		"silence does not stop the waiting":      {[]Verdict{Bad, Unsure, Unsure, Unsure}, map[int]string{0: "pending", 3: "firing"}},
		"silence resolves nothing":               {[]Verdict{Bad, Bad, Bad, Bad, Unsure, Unsure, Unsure, Unsure, Unsure}, map[int]string{0: "pending", 3: "firing"}},
		"good for long enough resolves":          {[]Verdict{Bad, Bad, Bad, Bad, Good, Good, Good}, map[int]string{0: "pending", 3: "firing", 6: "resolved"}},
		"flapping resolves nothing":              {[]Verdict{Bad, Bad, Bad, Bad, Good, Bad, Good, Bad, Good, Bad}, map[int]string{0: "pending", 3: "firing"}},
		"silence after good news starts it over": {[]Verdict{Bad, Bad, Bad, Bad, Good, Unsure, Good, Good}, map[int]string{0: "pending", 3: "firing"}},
	} {
		if d := cmp.Diff(c.want, play(&Engine{}, slow, c.verdicts...)); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}

func TestRuleWithoutWaitingFiresAtOnce(t *testing.T) {
	got := play(&Engine{}, Rule{ID: "now", Severity: event.SeverityInfo}, Bad, Bad, Good)
	if d := cmp.Diff(map[int]string{0: "firing", 2: "resolved"}, got); d != "" {
		t.Error(d)
	}
}

// TestEngineIsTheModel compares any sequence of judgements with the rules in their plainest form.
func TestEngineIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		verdicts := rapid.SliceOfN(rapid.SampledFrom([]Verdict{Unsure, Bad, Good}), 1, 40).Draw(t, "verdicts")
		var e Engine
		status, since, good := "", 0, -1
		var lastSeq uint64
		for sec, v := range verdicts {
			want := ""
			switch {
			case status == "" && v == Bad:
				status, since, good, want = "pending", sec, -1, "pending"
			case status == "":
			case v == Good:
				if good < 0 {
					good = sec
				}
				if status == "pending" || sec-good >= 2 {
					status, want = "", "resolved"
				}
			default:
				good = -1
				if status == "pending" && sec-since >= 3 {
					status, want = "firing", "firing"
				}
			}
			a, changed := e.Judge(Judgement{Rule: slow, Labels: labels, Verdict: v}, epoch.Add(time.Duration(sec)*time.Second))
			if changed != (want != "") || changed && a.Status != want {
				t.Fatalf("second %d, verdict %v: %q, want %q", sec, v, a.Status, want)
			}
			if changed {
				if a.Seq <= lastSeq {
					t.Fatalf("seq %d after %d", a.Seq, lastSeq)
				}
				lastSeq = a.Seq
				if err := a.Validate(); err != nil {
					t.Fatalf("second %d: %v", sec, err)
				}
			}
		}
	})
}

func TestActiveAlertsComeAgainEveryDay(t *testing.T) {
	var e Engine
	play(&e, slow, Bad, Bad, Bad, Bad)
	if got := e.Due(epoch.Add(23 * time.Hour)); len(got) != 0 {
		t.Fatalf("early: %v", got)
	}
	got := e.Due(epoch.Add(25 * time.Hour))
	if len(got) != 1 || got[0].Status != event.AlertFiring {
		t.Fatalf("after a day: %v", got)
	}
	if got := e.Due(epoch.Add(26 * time.Hour)); len(got) != 0 {
		t.Fatalf("twice: %v", got)
	}
}

func TestRestoredFromItsMessagesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var first Engine
		var log []event.Alert
		at := epoch
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at = at.Add(time.Second)
			l := map[string]string{"instance": rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "instance")}
			if a, ok := first.Judge(Judgement{Rule: slow, Labels: l, Verdict: rapid.SampledFrom([]Verdict{Bad, Good, Unsure}).Draw(t, "verdict")}, at); ok {
				log = append(log, a)
			}
		}
		var second Engine
		for _, i := range rapid.Permutation(indices(len(log))).Draw(t, "order") {
			second.Restore(log[i])
		}
		second.Settle()
		want, got := first.Active(), second.Active()
		// Annotations and values of judgements that changed no status are not published.
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-want +got)\n%s", d)
		}
		a, _ := second.Judge(Judgement{Rule: slow, Labels: map[string]string{"new": "x"}, Verdict: Bad}, epoch)
		for _, l := range log {
			if a.Seq <= l.Seq {
				t.Fatalf("seq %d after %d: went down", a.Seq, l.Seq)
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestFingerprintsKeepLabelsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range []map[string]string{{"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"a": "b", "": "c"}, {}} {
		f := Fingerprint("r", l)
		if seen[f] {
			t.Errorf("%v has the fingerprint of another", l)
		}
		seen[f] = true
	}
}

// Descriptions list what strangers wrote, such as the names of ten thousand nodes.
func TestTextsOfAnAlertAreBounded(t *testing.T) {
	var e Engine
	a, _ := e.Judge(Judgement{Rule: Unsigned, Verdict: Bad, Summary: strings.Repeat("é", 1<<20), Description: strings.Repeat("é", 1<<20)}, epoch)
	if got := len(a.Annotations.Summary); got > maxSummary+3 || got < maxSummary {
		t.Errorf("a summary of %d bytes", got)
	}
	if got := len(a.Annotations.Description); got > maxDescription+3 || !utf8.ValidString(a.Annotations.Description) {
		t.Errorf("a description of %d bytes", got)
	}
	if !Believable(a, epoch) {
		t.Error("our own alert is not believed")
	}
}

// Messages about alerts link to a section for each rule.
func TestEachRuleHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range All() {
		if !strings.Contains(string(page), "\n### "+r.ID+"\n") {
			t.Errorf("docs/alerts.md has no section %s", r.ID)
		}
	}
}
