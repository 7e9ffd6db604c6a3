package configlog

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Entry is one message of the log as the history shows it.
type Entry struct {
	Offset    int64     `json:"offset"`
	ChangeID  string    `json:"changeId"`
	Timestamp time.Time `json:"timestamp"`
	Author    string    `json:"author,omitempty"`
	Kind      string    `json:"kind"`
	Revision  string    `json:"revision,omitempty"`
	Base      string    `json:"base,omitempty"`
	Comment   string    `json:"comment,omitempty"`
	Result    Result    `json:"result"`
	Winner    string    `json:"winner,omitempty"` // with ResultLost: the revision that was current; empty: the log held none

	Authenticated bool   `json:"authenticated"`   // a known key signed it: the signature confirms the author
	Key           string `json:"keyId,omitempty"` // id of that key
	Summary       string `json:"summary,omitempty"`
	Document      string `json:"document,omitempty"`
}

// Result is what the log made of a record.
type Result string

// Results of an entry.
const (
	ResultCurrent         Result = "current"
	ResultSuperseded      Result = "superseded" // was current
	ResultLost            Result = "lost"       // its base was not the current revision
	ResultOverride        Result = "override"
	ResultSilence         Result = "silence"
	ResultChallenge       Result = "challenge" // not in the history
	ResultUnreadable      Result = "unreadable"
	ResultUnauthenticated Result = "unauthenticated" // it has no signature, and this node requires one, as every node does for a challenge
	ResultBadSignature    Result = "bad signature"
	ResultReplayed        Result = "replayed" // signed and already in the log
)

// Applied reports whether every node that has the same keys put the record into effect.
func (r Result) Applied() bool {
	switch r {
	case ResultCurrent, ResultSuperseded, ResultOverride, ResultSilence, ResultChallenge:
		return true
	}
	return false
}

// Outcome returns the result as text for people. It names the winner.
func (e Entry) Outcome() string {
	switch {
	case e.Result == ResultLost && e.Winner != "":
		return "lost to " + e.Winner
	case e.Result == ResultLost:
		return "lost: the log held no revision"
	}
	return string(e.Result)
}

// State is the result of the log so far. The zero value is the state of an empty log.
type State struct {
	Revision   string // current; empty before the first
	Document   string
	Overrides  []event.Override // in effect, one per instance and kind
	Silences   []Silence        // latest of each id, including ended silences
	Challenges []Challenge      // in the order of the log, of the last hour before the newest one
	History    []Entry          // oldest first, at most maxHistory per room
	NextOffset int64
	documents  int    // bytes of documents in History
	rooms      [3]int // entries in History by room
	replays    replays
	marked     bool // a record has a signature: some nodes or operators have keys
}

// Limits of a node's memory. The log itself keeps everything.
const (
	maxHistory   = 1000 // entries of each room except junk
	maxJunk      = 100
	maxDocuments = 64 << 20 // bytes of documents in them; older entries lose their documents
	maxSilences  = 1000     // latest; the end of an older silence is forgotten, not its alerts
	maxText      = 4 << 10  // bytes of a comment or an error; the rest is cut off
	maxName      = 1 << 10  // bytes of an author, a node or a revision
	maxLabels    = 32       // of a silence, each with at most maxName bytes
)

// Update is one decoded record of the log. If Err is not nil, the record cannot be read, and the other fields hold only
// what could be decoded.
type Update struct {
	event.ConfigUpdate
	Offset int64
	Err    error
	Writer sign.Verdict
	marked bool // it has a signature, whether this node can verify it or not
}

// Read decodes a record and verifies its signature. It needs no lock.
func Read(cfg kafka.Config, r kafka.Record) Update {
	u, err := read(r.Value)
	if err == nil {
		err = namesFit(u)
	}
	u.Comment, u.Author, u.Node = cut(u.Comment, maxText), cut(u.Author, maxName), cut(u.Node, maxName)
	_, marked := r.Header(sign.Header)
	return Update{ConfigUpdate: u, Offset: r.Offset, Err: err, Writer: cfg.Verify(r), marked: marked}
}

// refused returns why the record must not be applied, nil if it may be applied.
func (u Update) refused() error {
	if u.Writer.Refused() {
		return errors.New(u.Writer.State.String())
	}
	return u.Err
}

// Fold applies one record. A record that was applied before changes nothing. It returns true if the current revision
// changed.
func (s *State) Fold(u Update) bool {
	if u.Offset < s.NextOffset {
		return false
	}
	s.NextOffset = u.Offset + 1
	s.marked = s.marked || u.marked
	e := Entry{
		Offset: u.Offset, ChangeID: u.ChangeID, Timestamp: u.Timestamp, Author: u.Author, Kind: u.Kind,
		Revision: u.Revision, Base: u.Base, Comment: u.Comment, Document: u.Document,
		Authenticated: u.Writer.State == sign.Signed, Key: u.Writer.Key, Result: s.judge(u),
	}
	switch e.Result {
	case ResultUnreadable:
		e = Entry{Offset: u.Offset, Author: u.Author, Timestamp: u.Timestamp, ChangeID: u.ChangeID, Result: e.Result, Summary: cut(u.Err.Error(), maxText)}
	case ResultUnauthenticated, ResultBadSignature, ResultReplayed:
		e.Document = ""
	case ResultOverride:
		var fits bool
		e.Summary = Describe(u.Override)
		if s.Overrides, fits = overrides(s.Overrides).with(attributed(u.ConfigUpdate)); !fits {
			e.Result, e.Summary = ResultUnreadable, fmt.Sprintf("more than %d overrides are in force", maxOverrides)
		}
	case ResultSilence:
		s.silence(Silence{Silence: u.Silence, Author: u.Author, Reason: u.Comment, Since: u.Timestamp})
		e.Summary = DescribeSilence(u.Silence)
	case ResultChallenge:
		s.challenge(u)
		return false // thousands of them over the years must not displace changes from the history
	case ResultLost:
		e.Winner = s.Revision
	case ResultCurrent:
		for i := range s.History {
			if s.History[i].Result == ResultCurrent {
				s.History[i].Result = ResultSuperseded
			}
		}
		s.Revision, s.Document = u.Revision, u.Document
	}
	s.remember(e)
	return e.Result == ResultCurrent
}

// judge returns what becomes of a record. The first rule that concerns it decides.
func (s *State) judge(u Update) Result {
	switch {
	case u.Err != nil:
		return ResultUnreadable
	case u.Writer.State == sign.Unsigned, u.Kind == event.KindChallenge && u.Writer.State == sign.Unchecked:
		return ResultUnauthenticated
	case u.Writer.Refused():
		return ResultBadSignature
	case s.replays.again(u):
		return ResultReplayed
	case u.Kind == event.KindOverride:
		return ResultOverride
	case u.Kind == event.KindSilence:
		return ResultSilence
	case u.Kind == event.KindChallenge:
		return ResultChallenge
	case !s.takes(u.Base, u.Adopt):
		return ResultLost
	}
	return ResultCurrent
}

// read decodes a message. It refuses messages that no writer of this program would send. Such a message has another
// source or is damaged, and would empty the configuration or break the arithmetic of a pool.
func read(value []byte) (event.ConfigUpdate, error) {
	u, err := event.DecodeConfigUpdate(value)
	if err != nil {
		return u, err
	}
	switch u.Kind {
	case event.KindSilence:
		return u, nil
	case event.KindChallenge:
		return u, CheckChallenge(u.Challenge)
	case event.KindOverride:
		u.Override.Author, u.Override.Reason, u.Override.Since = "", "", time.Time{} // the fields of the message apply instead
		if err := CheckOverride(u.Override); err != nil {
			return u, fmt.Errorf("override: %w", err)
		}
		return u, nil
	}
	switch sum := sha256.Sum256([]byte(u.Document)); {
	case config.Blank([]byte(u.Document)):
		return u, fmt.Errorf("document: %w", config.ErrBlank)
	case u.SHA256 != hex.EncodeToString(sum[:]):
		return u, errors.New("sha256: not that of the document")
	}
	return u, nil
}

// namesFit refuses compared names that are longer than any name of this program. A node keeps thousands of records, and
// a record may have millions of bytes.
func namesFit(u event.ConfigUpdate) error {
	for name, text := range map[string]string{"revision": u.Revision, "base": u.Base} {
		if len(text) > maxName {
			return fmt.Errorf("%s: longer than %d bytes", name, maxName)
		}
	}
	return CheckSilence(u.Silence)
}

// CheckSilence returns an error if nodes would refuse the silence.
func CheckSilence(s event.Silence) error {
	if len(s.RuleID) > maxName {
		return fmt.Errorf("silence.ruleId: longer than %d bytes", maxName)
	}
	if len(s.Labels) > maxLabels {
		return fmt.Errorf("silence.labels: more than %d", maxLabels)
	}
	for k, v := range s.Labels {
		if len(k) > maxName || len(v) > maxName {
			return fmt.Errorf("silence.labels: longer than %d bytes", maxName)
		}
	}
	return nil
}

// cut shortens a text that is only displayed.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// DropHistory deletes the entries, for a caller that needs only the current state.
func (s *State) DropHistory() { s.History, s.documents, s.rooms = nil, 0, [3]int{} }

func (s *State) remember(e Entry) {
	s.History = append(s.History, e)
	s.documents += len(e.Document)
	room, most := e.room(), maxHistory
	if room == junkRoom {
		most = maxJunk
	}
	if s.rooms[room]++; s.rooms[room] > most {
		i := slices.IndexFunc(s.History, func(e Entry) bool { return e.room() == room })
		s.documents -= len(s.History[i].Document)
		s.History = slices.Delete(s.History, i, i+1)
		s.rooms[room]--
	}
	s.forgetDocuments(func(e Entry) bool { return e.room() != revisionRoom })
	s.forgetDocuments(func(Entry) bool { return true })
}

// forgetDocuments keeps the total size of documents within its limit. It removes the oldest documents of the selected
// entries first.
func (s *State) forgetDocuments(of func(Entry) bool) {
	for i := 0; s.documents > maxDocuments && i < len(s.History)-1; i++ {
		if of(s.History[i]) {
			s.documents -= len(s.History[i].Document)
			s.History[i].Document = ""
		}
	}
}

// Rooms of the history. Any client that may write to the topic can write records that are not applied. Such records
// must not displace applied revisions.
const (
	revisionRoom = iota // revisions that are or were current
	changeRoom          // overrides, silences, revisions that lost
	junkRoom            // unreadable, unauthenticated, replayed
)

func (e Entry) room() int {
	switch e.Result {
	case ResultCurrent, ResultSuperseded:
		return revisionRoom
	case ResultOverride, ResultSilence, ResultLost:
		return changeRoom
	}
	return junkRoom
}

// Silence is a silence with its author, reason and the time of its first message.
type Silence struct {
	event.Silence
	Author string    `json:"author,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// silence keeps the last message of each id. The order in the log decides, not the clocks.
func (s *State) silence(n Silence) {
	if i := slices.IndexFunc(s.Silences, func(o Silence) bool { return o.ID == n.ID }); i >= 0 {
		if n.Reason == "" {
			n.Reason = s.Silences[i].Reason
		}
		n.Since = s.Silences[i].Since
		s.Silences = slices.Delete(s.Silences, i, i+1)
	}
	s.Silences = append(s.Silences, n)
	if len(s.Silences) > maxSilences {
		s.Silences = slices.Delete(s.Silences, 0, 1)
	}
}

// Silenced returns the silence that covers an alert at the given time. If several silences do, it returns the silence
// with the latest end.
func Silenced(silences []Silence, a event.Alert, now time.Time) (Silence, bool) {
	var best Silence
	for _, s := range silences {
		if s.EndsAt.After(now) && s.EndsAt.After(best.EndsAt) && s.Covers(a) {
			best = s
		}
	}
	return best, best.ID != ""
}

// DescribeSilence returns a silence as text.
func DescribeSilence(s event.Silence) string {
	var parts []string
	if s.RuleID != "" {
		parts = append(parts, s.RuleID)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, k+"="+s.Labels[k])
	}
	return fmt.Sprintf("silence %s of %s until %s", s.ID, strings.Join(parts, " "), readable.Time(s.EndsAt))
}

// NextRevision returns the name of the next revision: a number that grows along the chain, and a random part, because
// two operators may build on the same base.
func NextRevision(base string) string {
	n := 0
	if head, _, ok := strings.Cut(base, "-"); ok {
		n, _ = strconv.Atoi(head)
	}
	return strconv.Itoa(n+1) + "-" + randomHex(3)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}
