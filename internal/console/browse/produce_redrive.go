package browse

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/filter"
	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/telemetry/analysis"
)

// HeaderRedrive marks a record that was sent back from a dead-letter topic:
// TOPIC/PARTITION/OFFSET of the dead letter.
const HeaderRedrive = "smartlb-redrive"

// Redrive says what became of dead letters, or in a preview what would.
type Redrive struct {
	Letters int             `json:"letters"` // that were chosen
	Ready   int             `json:"ready"`   // that can be sent
	Sent    int             `json:"sent"`
	Bytes   int64           `json:"bytes"` // of the ready ones, as they may be shown
	Targets []RedriveTarget `json:"targets"`
	Left    []RedriveLeft   `json:"left"`    // those that are not ready, by reason
	Again   bool            `json:"again"`   // not all that came since could be read: some may have been sent back already
	Unfixed int             `json:"failing"` // of the ready ones, that do not conform as they are and would come back; 0 where fields are masked
}

// RedriveTarget is a topic that gets messages back.
type RedriveTarget struct {
	Topic    string `json:"topic"`
	Messages int    `json:"messages"`
}

// RedriveLeft is why some dead letters are left where they are.
type RedriveLeft struct {
	Reason   string `json:"reason"`
	Messages int    `json:"messages"`
	First    string `json:"first"` // PARTITION:OFFSET of one of them
}

// ErrRedrive is wrapped by errors about what was asked for.
var ErrRedrive = errors.New("redrive")

// RedriveSpec says which dead letters are sent back.
type RedriveSpec struct {
	Topic    string // of dead letters
	Picks    Picks  // nil: what Query finds
	Query    Query
	Dry      bool // send nothing, and say what would be sent
	Reserved bool // also to topics that are topic.Reserved: the caller may write there
}

// letter is one dead letter on its way back.
type letter struct {
	id     string // TOPIC/PARTITION/OFFSET
	at     string // PARTITION:OFFSET
	dead   kafka.Record
	topic  string // where it goes
	source string // PARTITION:OFFSET there, when it was refused
	size   int
	record kafka.Record // what is sent
	why    string       // it is left; empty: it goes
}

// Redrive sends dead letters back to the topics that they came from, whole and
// with their own key and headers where these still hold the original, each
// marked with HeaderRedrive and none twice: what was sent back already is found
// by that mark.
func (b *Browser) Redrive(ctx context.Context, spec RedriveSpec) (Redrive, error) {
	if !strings.HasSuffix(spec.Topic, ".dlq") {
		return Redrive{}, fmt.Errorf("%w: %s is not a dead-letter topic: names of dead-letter topics end with .dlq", ErrRedrive, spec.Topic)
	}
	select { // two at once would both find that nothing was sent back
	case b.redriving <- struct{}{}:
	case <-ctx.Done():
		return Redrive{}, fmt.Errorf("another redrive is in progress: %w", context.Cause(ctx))
	}
	defer func() { <-b.redriving }()
	letters, err := b.letters(ctx, spec)
	if err != nil {
		return Redrive{}, err
	}
	for _, l := range letters { // a writer of dead letters chooses the header
		if l.why == "" && topic.Reserved(l.topic) && !spec.Reserved {
			l.why = "its topic " + l.topic + " is reserved: sending there needs the role admin"
		}
	}
	if err := b.restore(ctx, letters); err != nil {
		return Redrive{}, err
	}
	out := Redrive{Letters: len(letters), Targets: []RedriveTarget{}, Left: []RedriveLeft{}}
	if out.Again, err = b.sentBack(ctx, letters); err != nil {
		return out, err
	}
	return out, b.sendBack(ctx, letters, &out, spec)
}

func (b *Browser) letters(ctx context.Context, spec RedriveSpec) ([]*letter, error) {
	var out []*letter
	take := func(r kafka.Record) error {
		out = append(out, letterOf(r))
		return nil
	}
	if spec.Picks != nil {
		err := b.picked(ctx, spec.Topic, spec.Picks, take)
		return out, err
	}
	_, err := b.export(ctx, spec.Query, func(bare, _ kafka.Record) error { return take(bare) })
	return out, err
}

func letterOf(r kafka.Record) *letter {
	l := &letter{at: fmt.Sprintf("%d:%d", r.Partition, r.Offset), id: fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset), dead: r}
	text := func(name string) string {
		v, _ := r.Header(name)
		return string(v)
	}
	l.topic = text(analysis.HeaderSourceTopic)
	partition, err := strconv.Atoi(text(analysis.HeaderSourcePartition))
	offset, err2 := strconv.ParseInt(text(analysis.HeaderSourceOffset), 10, 64)
	if err == nil && err2 == nil {
		l.source = fmt.Sprintf("%d:%d", partition, offset)
	}
	if l.size, err = strconv.Atoi(text(analysis.HeaderSize)); err != nil {
		l.size = len(r.Value)
	}
	switch {
	case l.topic == "":
		l.why = "no header names its source"
	case l.topic == r.Topic:
		l.why = "its source is this topic itself"
	}
	return l
}

// restore finds the originals: dead letters keep 64 KiB of the value, and
// neither key nor headers.
func (b *Browser) restore(ctx context.Context, letters []*letter) error {
	wanted := map[string]Picks{}
	for _, l := range letters {
		if l.why != "" || l.source == "" {
			continue
		}
		at, _ := ParseAt(l.source)
		for p, o := range at {
			if wanted[l.topic] == nil {
				wanted[l.topic] = Picks{}
			}
			wanted[l.topic][p] = append(wanted[l.topic][p], o)
		}
	}
	originals := map[string]kafka.Record{}
	for name, picks := range wanted {
		for p := range picks {
			slices.Sort(picks[p])
			picks[p] = slices.Compact(picks[p])
		}
		err := b.picked(ctx, name, picks, func(r kafka.Record) error {
			originals[fmt.Sprintf("%s/%d:%d", name, r.Partition, r.Offset)] = r
			return nil
		})
		switch {
		case errors.Is(err, ops.ErrNoTopic):
			for _, l := range letters {
				if l.topic == name {
					l.why = "its topic " + name + " no longer exists"
				}
			}
		case err != nil && ctx.Err() != nil:
			return err
		}
	}
	for _, l := range letters {
		if l.why != "" {
			continue
		}
		l.choose(originals[l.topic+"/"+l.source], b.veil(l.topic).on)
	}
	return nil
}

// choose takes the original where it is that, else what the dead letter kept.
// Of a topic with masks the value decides nothing: whoever may write a dead
// letter would find out byte by byte what is hidden.
func (l *letter) choose(original kafka.Record, masked bool) {
	is := original.Topic != "" && len(original.Value) == l.size && bytes.HasPrefix(original.Value, l.dead.Value)
	if masked { // what is newer than the dead letter is of a topic that was created again
		is = original.Topic != "" && !original.Timestamp.After(l.dead.Timestamp)
	}
	switch {
	case is:
		l.record = kafka.Record{Key: original.Key, Value: original.Value, Headers: original.Headers}
	case len(l.dead.Value) == l.size:
		l.record = kafka.Record{Key: l.dead.Key, Value: l.dead.Value}
	default:
		l.why = "only the beginning of its value was kept, and its topic no longer has the original"
		return
	}
	if len(l.record.Value) > kafka.MaxValueBytes {
		l.why = fmt.Sprintf("its value is larger than %d bytes", kafka.MaxValueBytes)
		return
	}
	l.record.Headers = slices.DeleteFunc(slices.Clone(l.record.Headers), func(h kafka.Header) bool { return h.Key == HeaderRedrive })
	l.record.Headers = append(l.record.Headers, kafka.Header{Key: HeaderRedrive, Value: []byte(l.id)})
}

// Bounds of the look for what was sent back already.
const (
	sentBackBytes = 512 << 20
	sentBackTime  = 5 * time.Second
	clockSkew     = time.Minute // between the brokers' clocks and those of senders
)

// sentBack leaves out what has been sent back since it became a dead letter. It
// reports whether that could not be found out for all.
func (b *Browser) sentBack(ctx context.Context, letters []*letter) (unsure bool, err error) {
	since := map[string]time.Time{}
	for _, l := range letters {
		if at, known := since[l.topic]; l.why == "" && (!known || l.dead.Timestamp.Before(at)) {
			since[l.topic] = l.dead.Timestamp
		}
	}
	done := map[string]bool{}
	for name, at := range since {
		m, err := filter.Terms{Header: HeaderRedrive}.Compile()
		if err != nil {
			return true, err
		}
		from := ops.At(at.Add(-clockSkew))
		q := Query{Topic: name, From: &from, Limit: MaxExport, Bytes: sentBackBytes, Time: sentBackTime, matcher: m}
		end, err := b.export(ctx, q, func(r, _ kafka.Record) error {
			id, _ := r.Header(HeaderRedrive)
			done[string(id)] = true
			return nil
		})
		if err != nil {
			return true, err
		}
		unsure = unsure || end.Reason != EndOfLog
	}
	for _, l := range letters {
		if l.why == "" && done[l.id] {
			l.why = "it was sent back already"
		}
	}
	return unsure, nil
}

func (b *Browser) sendBack(ctx context.Context, letters []*letter, out *Redrive, spec RedriveSpec) error {
	left := map[string]*RedriveLeft{}
	by := map[string][]kafka.Record{}
	for _, l := range letters {
		if l.why != "" {
			if left[l.why] == nil {
				left[l.why] = &RedriveLeft{Reason: l.why, First: l.at}
			}
			left[l.why].Messages++
			continue
		}
		out.Ready++
		out.Bytes += int64(sizeOf(b.veil(spec.Topic).over(b.veil(l.topic).over(l.record))))
		shown := Message{Message: ops.Message{Topic: l.topic}}
		if c := shown.checked(l.record.Value).Check; c != nil && !c.Conforms && !b.veil(l.topic).on && !b.veil(spec.Topic).on {
			out.Unfixed++ // what is said of a field tells what it holds
		}
		by[l.topic] = append(by[l.topic], l.record)
	}
	for _, reason := range slices.Sorted(maps.Keys(left)) {
		out.Left = append(out.Left, *left[reason])
	}
	for _, target := range slices.Sorted(maps.Keys(by)) {
		out.Targets = append(out.Targets, RedriveTarget{target, len(by[target])})
		sent, err := b.deliver(ctx, ops.ProduceSpec{Topic: target, Partition: -1, Linger: 5 * time.Millisecond}, by[target], spec.Dry)
		out.Sent += int(sent.Records)
		if err != nil {
			return fmt.Errorf("%w; %d were sent", err, out.Sent)
		}
	}
	slices.SortStableFunc(out.Left, func(a, b RedriveLeft) int { return cmp.Compare(b.Messages, a.Messages) })
	return nil
}
