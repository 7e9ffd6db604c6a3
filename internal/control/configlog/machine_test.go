package configlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

var (
	placeNames  = [places]string{"reading", "reading other", "following", "lost"}
	sightNames  = [sights]string{"records", "end", "reset"}
	turnNames   = [turns]string{"last good taken", "file taken", "same revision", "other revision", "revision applied", "revision refused"}
	actionNames = map[action]string{wait: "", follow: "follow", report: "report", apply: "apply", confirm: "confirm", announce: "announce"}
	states      = []string{event.ConfigNone, event.ConfigLKG, event.ConfigApplied, event.ConfigRefused}
)

// observed is a Control and what it did.
type observed struct {
	*Control
	reports  int      // errors in the log about a lost log
	overrode int      // lists of overrides put into effect
	applied  []string // revisions given to the data plane
	changed  int      // outcomes told
	refuse   error    // of the data plane
}

func observe(t *testing.T) *observed {
	t.Helper()
	o := &observed{}
	log := slog.New(onError{f: func(message string) {
		if strings.Contains(message, "not the log this node followed") {
			o.reports++
		}
	}})
	c, err := New(Config{
		Log: log, Override: func([]event.Override) { o.overrode++ }, Changed: func(Outcome) { o.changed++ },
		Apply: func(_ config.Traffic, revision string) error {
			o.applied = append(o.applied, revision)
			return o.refuse
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.tail, err = kafka.NewTail(kafka.Default(), kafka.TailConfig{Topics: []string{event.TopicConfigUpdates}}, log); err != nil {
		t.Fatal(err)
	}
	o.Control = c
	return o
}

// A node in each place sees each thing that the log can show, and does what the table says and nothing else.
func TestEachMoveOfTheLog(t *testing.T) {
	for p := range places {
		for s := range sights {
			for _, own := range []bool{true, false} {
				cell := moves[p][s].other
				if own {
					cell = moves[p][s].own
				}
				o := observe(t)
				o.place = p
				if !own {
					o.good = &lastGood{NextOffset: 5, Revision: "9-x"} // the log is shorter
				}
				good := o.good
				switch s {
				case records:
					o.handle([]kafka.Record{{Value: value(t, override(drainOf("a")))}})
				case end:
					o.catchUp()
				case reset:
					o.forget()
				}
				name := fmt.Sprintf("%s, %s, own %v", placeNames[p], sightNames[s], own)
				if o.place != cell.to {
					t.Errorf("%s: now %s, want %s", name, placeNames[o.place], placeNames[cell.to])
				}
				if want := map[action][2]int{wait: {}, follow: {1, 0}, report: {0, 1}}[cell.do]; [2]int{o.overrode, o.reports} != want {
					t.Errorf("%s: overrides %d times, %d reports; want %v", name, o.overrode, o.reports, want)
				}
				if saved := o.good != good; saved != (cell.do == follow && s == records) { // the log of the other two is empty
					t.Errorf("%s: saved %v", name, saved)
				}
				if o.Status().LostLog != cell.to.lostLog() {
					t.Errorf("%s: the status has lostLog %v", name, o.Status().LostLog)
				}
			}
		}
	}
}

// What must hold for each cell, whatever the table says.
func TestTheMovesKeepTheirPromises(t *testing.T) {
	for p := range places {
		for s := range sights {
			for _, c := range []struct {
				own bool
				move
			}{{true, moves[p][s].own}, {false, moves[p][s].other}} {
				name := fmt.Sprintf("%s, %s, own %v", placeNames[p], sightNames[s], c.own)
				if began := !p.lostLog() && c.to.lostLog(); began != (c.do == report) {
					t.Errorf("%s: a loss is reported once, when it begins", name)
				}
				if c.do == follow && (!c.own || c.to != following || s == reset) {
					t.Errorf("%s: only the node's own log is followed, and only after it was read", name)
				}
				if c.own && c.to.lostLog() && !p.lostLog() {
					t.Errorf("%s: a node loses its own log", name)
				}
				if before := p == reading || p == readingLost; before && s != end && (c.to == following || c.to == lost) {
					t.Errorf("%s: the node decides before the end of the log", name)
				}
			}
		}
	}
}

// A file that was cut, such as on a full disk, leaves the routes.
func TestAnEmptyFileDoesNotReplaceRoutes(t *testing.T) {
	o := observe(t)
	o.cfg.FileOnly = true
	if taken, err := o.Reload([]byte("\n")); !taken || err != nil {
		t.Errorf("a node without routes: taken %v, %v", taken, err)
	}
	if _, err := o.Reload([]byte(document)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Reload([]byte(" \n")); !errors.Is(err, config.ErrBlank) || len(o.applied) != 2 {
		t.Errorf("error %v, %d documents applied", err, len(o.applied))
	}
}

// From each state, each turn leads to the state and the action of the table.
func TestEachStepOfTheServedConfiguration(t *testing.T) {
	for _, state := range states {
		for turn := range turns {
			o, want := observe(t), steps[state][turn]
			o.place, o.st = following, Status{State: state, Revision: "1-a"}
			name := state + ", " + turnNames[turn]
			final, applies, told := want.to, 0, 0
			revise := func() {
				o.handle([]kafka.Record{{Value: value(t, revision("1-a", "", document))}})
			}
			switch turn {
			case lastGoodTaken:
				o.good = &lastGood{Revision: "1-a", Document: document}
				if err := o.Start(); err != nil {
					t.Fatal(err)
				}
				applies = 1
			case fileTaken:
				o.cfg.FileOnly = true
				if taken, err := o.Reload([]byte(document)); !taken || err != nil {
					t.Fatal(taken, err)
				}
				applies = 1
			case sameRevision, otherRevision:
				if turn == otherRevision {
					o.st.Revision = "0-z"
				}
				revise()
				if want.do == apply {
					final, applies, told = steps[want.to][revisionApplied].to, 1, 1
				}
			case revisionApplied, revisionRefused:
				o.st.Revision = "0-z"
				if turn == revisionRefused {
					o.refuse = errors.New("this node cannot")
				}
				revise()
				applies, told = 1, 1
			}
			if o.st.State != final || len(o.applied) != applies || o.changed != told {
				t.Errorf("%s: %s, %d documents applied, %d outcomes; want %s, %d, %d", name, o.st.State, len(o.applied), o.changed, final, applies, told)
			}
			if refused := len(o.st.Errors) > 0; refused != (turn == revisionRefused) {
				t.Errorf("%s: errors %q", name, o.st.Errors)
			}
			served := map[bool]string{true: "0-z", false: "1-a"}[turn == revisionRefused]
			if turn == fileTaken {
				served = "file"
			}
			if o.st.Revision != served {
				t.Errorf("%s: serves %q, want %q", name, o.st.Revision, served)
			}
		}
	}
}

// Each rule of the fold, in the order in which the rules apply, on a log whose current revision is 1-a.
func TestEachResultOfARecord(t *testing.T) {
	ours := keys(t, "a", "s")
	cfg := kafka.Config{Signing: ours}
	first, next, late := revision("1-a", "", document), revision("2-b", "1-a", document), revision("2-c", "", document)
	adopt := revision("9-z", "5-gone", document)
	adopt.Adopt = true
	for _, c := range []struct {
		name    string
		u       event.ConfigUpdate
		result  Result
		winner  string
		outcome string
		applied bool
	}{
		{"from the current revision", next, ResultCurrent, "", "current", true},
		{"from an older revision", late, ResultLost, "1-a", "lost to 1-a", false},
		{"from anywhere, adopting", adopt, ResultCurrent, "", "current", true},
		{"an override", override(drainOf("a")), ResultOverride, "", "override", true},
		{"a silence", silence("x", "panic", first.Timestamp, ""), ResultSilence, "", "silence", true},
		{"again", first, ResultReplayed, "", "replayed", false},
	} {
		var s State
		s.fold(cfg, signedAs(ours, value(t, first), first.Timestamp), signedAs(ours, value(t, c.u), first.Timestamp))
		e := s.History[1]
		if e.Result != c.result || e.Winner != c.winner || e.Outcome() != c.outcome || e.Result.Applied() != c.applied {
			t.Errorf("%s: %q, winner %q, outcome %q, applied %v", c.name, e.Result, e.Winner, e.Outcome(), e.Result.Applied())
		}
		// Without a signature or with a wrong one, nothing of it counts.
		for key, want := range map[string]Result{"": ResultUnauthenticated, "other": ResultBadSignature} {
			r := signedAs(nil, value(t, c.u), first.Timestamp)
			if key != "" {
				r = signedAs(keys(t, "a", "t"), value(t, c.u), first.Timestamp)
			}
			var s State
			s.fold(cfg, signedAs(ours, value(t, first), first.Timestamp), r)
			if e := s.History[1]; e.Result != want || e.Result.Applied() || s.Revision != "1-a" {
				t.Errorf("%s with key %q: %q at %s", c.name, key, e.Result, s.Revision)
			}
		}
	}
	var s State
	s.Fold(record(0, value(t, late)))
	s.Fold(record(1, value(t, revision("2-d", "1-gone", document))))
	s = State{}
	s.Fold(record(0, value(t, next)))
	if e := s.History[0]; e.Result != ResultLost || e.Winner != "" || e.Outcome() != "lost: the log held no revision" {
		t.Errorf("%+v: %s", e, e.Outcome())
	}
}

func TestTheTablesAreOnTheirPage(t *testing.T) {
	const page = "../../../docs/design/configuration-log.md"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{movesTable(), stepsTable()} {
		if !strings.Contains(string(b), table) {
			t.Errorf("%s lacks this table:\n%s", page, table)
		}
	}
}

func cellText(to string, do action) string {
	return strings.TrimSuffix(to+": "+actionNames[do], ": ")
}

func movesTable() string {
	rows := [][]string{{"place"}}
	for s := range sights {
		rows[0] = append(rows[0], sightNames[s]+", own log", sightNames[s]+", other log")
	}
	for p := range places {
		row := []string{placeNames[p]}
		for s := range sights {
			for _, m := range []move{moves[p][s].own, moves[p][s].other} {
				row = append(row, cellText(placeNames[m.to], m.do))
			}
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

func stepsTable() string {
	rows := [][]string{append([]string{"state"}, turnNames[:]...)}
	for _, state := range states {
		row := []string{state}
		for turn := range turns {
			row = append(row, cellText(steps[state][turn].to, steps[state][turn].do))
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	return b.String()
}
