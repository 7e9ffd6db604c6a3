package configlog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/base/nearest"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// MaxComment is the longest comment that an operator may give, in bytes. A node that reads a longer one cuts it off.
const MaxComment = 1000

// Change is a revision to publish.
type Change struct {
	Document []byte
	Base     string // the revision from which it was made
	Author   string
	Node     string
	Comment  string
	Adopt    bool // becomes current whatever its base is, also on nodes that lost the log
}

// Check returns an error if the change must not be published: config.Mistakes of its document, or a comment that is too
// long. It does not need the log.
func (c Change) Check() error {
	if err := CheckComment(c.Comment); err != nil {
		return fmt.Errorf("comment: %w", err)
	}
	_, err := config.Check(c.Document)
	return err
}

// CheckComment returns an error if a comment or reason is too long.
func CheckComment(text string) error {
	if len(text) > MaxComment {
		return fmt.Errorf("longer than %d bytes", MaxComment)
	}
	return nil
}

// Verdict is what the log makes of a change.
type Verdict int

// Verdicts.
const (
	Wins      Verdict = iota // it becomes the current revision
	Loses                    // its base is not the current revision: another change was first
	Unchanged                // it would win, and its document is the current document
)

// Judge returns the verdict on a change that is the next record of the log. Only Loses is a rule of the log; whether a
// document may be published again is the decision of the caller.
func (s *State) Judge(c Change) Verdict {
	switch {
	case !s.takes(c.Base, c.Adopt):
		return Loses
	case !c.Adopt && string(c.Document) == s.Document:
		return Unchanged
	}
	return Wins
}

// takes reports whether a revision with this base becomes current. This is the rule by which all nodes agree.
func (s *State) takes(base string, adopt bool) bool { return adopt || base == s.Revision }

// NoRevision is the error about a name that is no revision of the log.
type NoRevision struct {
	Name    string
	Nearest string   // a revision with a similar name; empty: none
	Newest  []string // the newest revisions, oldest first
}

func (e *NoRevision) Error() string {
	switch {
	case e.Nearest != "":
		return fmt.Sprintf("there is no revision %q; did you mean %s?", e.Name, e.Nearest)
	case len(e.Newest) == 0:
		return fmt.Sprintf("there is no revision %q: the log holds none yet", e.Name)
	}
	return fmt.Sprintf("there is no revision %q; the newest: %s", e.Name, strings.Join(e.Newest, ", "))
}

// NoDocument is the error about a revision whose document the history no longer holds.
type NoDocument struct {
	Revision string
	Offset   int64 // its place in config-updates, which keeps it
}

func (e *NoDocument) Error() string {
	return fmt.Sprintf("the document of revision %s is too far back; it is still in config-updates at offset %d: find it with `smartlb kafka consume config-updates --from-beginning`, and publish it", e.Revision, e.Offset)
}

// namedRevisions is the number of revisions that NoRevision names.
const namedRevisions = 8

// Find returns the entry of a revision, also of one that lost. The error is a *NoRevision.
func (s *State) Find(revision string) (Entry, error) {
	var names []string
	for i := len(s.History) - 1; i >= 0; i-- {
		e := s.History[i]
		if e.Kind != event.KindRevision {
			continue
		}
		if e.Revision == revision {
			return e, nil
		}
		names = append(names, e.Revision)
	}
	near := nearest.Name(revision, names)
	names = names[:min(len(names), namedRevisions)]
	slices.Reverse(names)
	return Entry{}, &NoRevision{Name: revision, Nearest: near, Newest: names}
}

// DocumentOf returns the document of a revision. The error is a *NoRevision or a *NoDocument.
func (s *State) DocumentOf(revision string) (string, error) {
	e, err := s.Find(revision)
	if err == nil && e.Document == "" {
		err = &NoDocument{Revision: e.Revision, Offset: e.Offset}
	}
	return e.Document, err
}

// Rollback returns the change that publishes the document of a revision again, made from the current revision. Its errors
// are those of DocumentOf.
func (s *State) Rollback(revision, comment string) (Change, error) {
	document, err := s.DocumentOf(revision)
	return Change{Document: []byte(document), Base: s.Revision, Comment: strings.TrimSpace("rollback to " + revision + " " + comment)}, err
}

// FromFile is the prefix of the author of a revision that a node published from its own file.
const FromFile = "file:"

// FirstFromFile reports whether the current revision is the first revision and comes from a node's own file: no
// operator chose it over another revision.
func (s *State) FirstFromFile() bool {
	e, err := s.Find(s.Revision)
	return err == nil && e.Base == "" && strings.HasPrefix(e.Author, FromFile)
}
