package configlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// history is a log with ten revisions; the document of the first is too far back.
func history(t *testing.T) *State {
	t.Helper()
	var s State
	base := ""
	for i := range 10 {
		name := fmt.Sprintf("%d-abcdef", i+1)
		s.Fold(record(int64(i), value(t, revision(name, base, document+"# "+name+"\n"))))
		base = name
	}
	s.History[0].Document = ""
	return &s
}

func TestARevisionIsFoundOrTheErrorNamesOthers(t *testing.T) {
	s := history(t)
	if e, err := s.Find("3-abcdef"); err != nil || e.Offset != 2 {
		t.Errorf("%+v %v", e, err)
	}
	for name, want := range map[string]string{
		"3-abcdeg": `there is no revision "3-abcdeg"; did you mean 3-abcdef?`,
		"zzz":      `there is no revision "zzz"; the newest: 3-abcdef, 4-abcdef, 5-abcdef, 6-abcdef, 7-abcdef, 8-abcdef, 9-abcdef, 10-abcdef`,
	} {
		_, err := s.Find(name)
		var none *NoRevision
		if !errors.As(err, &none) || none.Name != name || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	if _, err := new(State).Find("1-a"); err == nil || err.Error() != `there is no revision "1-a": the log holds none yet` {
		t.Errorf("in an empty log: %v", err)
	}
}

func TestARollbackIsMadeFromTheCurrentRevision(t *testing.T) {
	s := history(t)
	c, err := s.Rollback("2-abcdef", "errors")
	if err != nil || c.Base != "10-abcdef" || c.Comment != "rollback to 2-abcdef errors" || string(c.Document) != document+"# 2-abcdef\n" {
		t.Errorf("%+v %v", c, err)
	}
	if c, err = s.Rollback("2-abcdef", ""); err != nil || c.Comment != "rollback to 2-abcdef" {
		t.Errorf("without a comment: %q %v", c.Comment, err)
	}
	_, err = s.Rollback("1-abcdef", "")
	var far *NoDocument
	if !errors.As(err, &far) || far.Offset != 0 || !strings.Contains(err.Error(), "config-updates at offset 0") {
		t.Errorf("too far back: %v", err)
	}
	var none *NoRevision
	if _, err = s.Rollback("77-zz", ""); !errors.As(err, &none) {
		t.Errorf("no revision: %v", err)
	}
}

func TestAChangeIsJudgedAsTheLogWillJudgeIt(t *testing.T) {
	for _, c := range []struct {
		name string
		Change
		want Verdict
	}{
		{"new", Change{Document: []byte(document), Base: "10-abcdef"}, Wins},
		{"the current document", Change{Document: []byte(document + "# 10-abcdef\n"), Base: "10-abcdef"}, Unchanged},
		{"the current document, adopted", Change{Document: []byte(document + "# 10-abcdef\n"), Adopt: true}, Wins},
		{"from an older revision", Change{Document: []byte(document), Base: "9-abcdef"}, Loses},
		{"from none", Change{Document: []byte(document)}, Loses},
		{"from anywhere, adopted", Change{Document: []byte(document), Base: "5-gone", Adopt: true}, Wins},
	} {
		s := history(t)
		if got := s.Judge(c.Change); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		u := revision("11-x", c.Base, string(c.Document))
		u.Adopt = c.Adopt
		if won := s.Fold(record(s.NextOffset, value(t, u))); won != (c.want != Loses) {
			t.Errorf("%s: the log says %v", c.name, won)
		}
	}
}

func TestAChangeIsCheckedBeforeItIsPublished(t *testing.T) {
	good := Change{Document: []byte(document), Comment: strings.Repeat("x", MaxComment)}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	var m config.Mistakes
	for text, want := range map[string]string{" \n": "nothing to serve", "routes: [{}]": "routes[0]"} {
		if err := (Change{Document: []byte(text)}).Check(); !errors.As(err, &m) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	good.Comment += "x"
	if err := good.Check(); err == nil || err.Error() != "comment: longer than 1000 bytes" {
		t.Error(err)
	}
}

func TestOverridesAreCheckedWhereverTheyComeFrom(t *testing.T) {
	of := func(action string, weight event.Optional) event.Override {
		return event.Override{ServiceID: "s", InstanceID: "i", Action: action, Weight: weight}
	}
	for _, c := range []struct {
		event.Override
		want string
	}{
		{of(event.ActionDrain, event.Optional{}), ""},
		{of(event.ActionUndrain, event.Optional{}), ""},
		{of(event.ActionWeight, event.Some(0)), ""},
		{of(event.ActionWeight, event.Some(MaxWeight)), ""},
		{of(event.ActionWeight, event.Some(-1)), "weight -1: want 0 (as configured) to 1000"},
		{of(event.ActionWeight, event.Some(1e300)), "weight 1e+300: want 0 (as configured) to 1000"},
		{of("explode", event.Optional{}), `action "explode": want drain, undrain or weight`},
	} {
		err := CheckOverride(c.Override)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%+v: %v", c.Override, err)
		}
	}
	now := time.Unix(1000, 0)
	if o, err := EndAfter(of(event.ActionDrain, event.Optional{}), time.Minute, now); err != nil || !o.EndsAt.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v %v", o, err)
	}
	for _, d := range []time.Duration{0, -time.Minute, time.Millisecond, MaxOverrideTime + 1} {
		if _, err := EndAfter(of(event.ActionDrain, event.Optional{}), d, now); err == nil {
			t.Errorf("%s is accepted", d)
		}
	}
	if _, err := EndAfter(of(event.ActionUndrain, event.Optional{}), time.Minute, now); err == nil {
		t.Error("an undrain with an end is accepted")
	}
}
