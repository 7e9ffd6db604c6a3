package configlog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

func challengeOf(id, node, name, token string, ends time.Time) event.ConfigUpdate {
	return event.ConfigUpdate{
		ChangeID: id, Timestamp: time.Unix(1, 0).UTC(), Node: node, Kind: event.KindChallenge,
		Challenge: event.Challenge{Name: name, Type: "http-01", Token: token, KeyAuthorization: token + ".print", EndsAt: ends},
	}
}

func tokens(s State) string {
	var out []string
	for _, c := range s.Challenges {
		out = append(out, c.Node+" "+c.Name+" "+c.Token)
	}
	return strings.Join(out, ", ")
}

// An answer that any writer of the topic could set would let this writer obtain certificates for our names.
func TestChallengesOfTheLogCountOnlyIfSigned(t *testing.T) {
	ours, theirs := keys(t, "a", "s"), keys(t, "a", "t")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := value(t, challengeOf("c", "n1", "a.example", "tok", now.Add(time.Minute)))
	for name, tc := range map[string]struct {
		cfg    kafka.Config
		record kafka.Record
		want   string
		result Result
	}{
		"signed":                       {kafka.Config{Signing: ours}, signedAs(ours, v, now), "n1 a.example tok", ""},
		"unsigned":                     {kafka.Config{Signing: ours}, signedAs(nil, v, now), "", ResultUnauthenticated},
		"with another key":             {kafka.Config{Signing: ours}, signedAs(theirs, v, now), "", ResultBadSignature},
		"signed, for a node without":   {kafka.Config{}, signedAs(ours, v, now), "", ResultUnauthenticated},
		"unsigned, for a node without": {kafka.Config{}, signedAs(nil, v, now), "", ResultUnauthenticated},
	} {
		var s State
		s.fold(tc.cfg, tc.record)
		if got := tokens(s); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		switch {
		case tc.result == "" && len(s.History) > 0:
			t.Errorf("%s: a challenge is in the history: %+v", name, s.History)
		case tc.result != "" && (len(s.History) != 1 || s.History[0].Result != tc.result || s.History[0].Result.Applied()):
			t.Errorf("%s: %+v", name, s.History)
		}
	}
}

func TestAChallengeEndsIsReplacedAndCountsOnce(t *testing.T) {
	ours := keys(t, "a", "s")
	cfg := kafka.Config{Signing: ours}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(after time.Duration, u event.ConfigUpdate) kafka.Record {
		return signedAs(ours, value(t, u), now.Add(after))
	}
	minute := now.Add(time.Minute)
	var s State
	first := at(0, challengeOf("1", "n1", "a.example", "one", minute))
	s.fold(cfg, first, at(1e9, challengeOf("2", "n2", "a.example", "two", minute)), at(2e9, challengeOf("3", "n1", "b.example", "three", minute)))
	if got := tokens(s); got != "n1 a.example one, n2 a.example two, n1 b.example three" {
		t.Errorf("got %s", got)
	}
	s.fold(cfg, at(3e9, challengeOf("4", "n1", "a.example", "four", minute)))
	if got := tokens(s); got != "n2 a.example two, n1 b.example three, n1 a.example four" {
		t.Errorf("after another of the same node: %s", got)
	}
	s.fold(cfg, at(4e9, challengeOf("5", "n2", "a.example", "two", now)))
	if got := tokens(s); got != "n1 b.example three, n1 a.example four" {
		t.Errorf("after an end: %s", got)
	}
	s.fold(cfg, first)
	if got := tokens(s); strings.Contains(got, "one") {
		t.Errorf("a record that was appended again counts: %s", got)
	}
	s.fold(cfg, at(61*time.Second, challengeOf("6", "n3", "c.example", "six", minute.AddDate(1, 0, 0))))
	if got := tokens(s); got != "n3 c.example six" {
		t.Errorf("after a minute: %s", got)
	}
	if got, want := s.Challenges[0].EndsAt, now.Add(61*time.Second+maxChallengeTime); !got.Equal(want) {
		t.Errorf("a challenge of a year ends at %v, want %v", got, want)
	}
}

func TestChallengesAreBounded(t *testing.T) {
	ours := keys(t, "a", "s")
	cfg := kafka.Config{Signing: ours}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var s State
	for i := range maxChallenges + 5 {
		s.fold(cfg, signedAs(ours, value(t, challengeOf(fmt.Sprint(i), "n", fmt.Sprintf("a%d.example", i), "tok", now.Add(time.Minute))), now))
	}
	if n := len(s.Challenges); n != maxChallenges || s.Challenges[0].Name != "a5.example" {
		t.Errorf("%d challenges, the first %+v", n, s.Challenges[0])
	}
	good := challengeOf("x", "n", "a.example", "tok", now.Add(time.Minute))
	for why, edit := range map[string]func(*event.Challenge){
		"challenge.token":            func(c *event.Challenge) { c.Token = "../../x"; c.KeyAuthorization = "../../x.print" },
		"challenge.keyAuthorization": func(c *event.Challenge) { c.KeyAuthorization = "other.print" },
		"thumbprint":                 func(c *event.Challenge) { c.KeyAuthorization = "tok.<script>" },
		"challenge.name":             func(c *event.Challenge) { c.Name = "A.example" },
		"longer than 256":            func(c *event.Challenge) { c.KeyAuthorization = "tok." + strings.Repeat("a", 300) },
		"none of":                    func(c *event.Challenge) { c.Type = "dns-01" },
		"missing":                    func(c *event.Challenge) { c.Token = "" },
	} {
		u := good
		edit(&u.Challenge)
		var s State
		s.fold(cfg, signedAs(ours, u.AppendJSON(nil), now))
		if len(s.Challenges) != 0 || len(s.History) != 1 || s.History[0].Result != ResultUnreadable || !strings.Contains(s.History[0].Summary, why) {
			t.Errorf("%s: %d challenges, %+v", why, len(s.Challenges), s.History)
		}
	}
}
