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
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/filter"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/telemetry/analysis"
)

// HeaderRedrive marks a record that was sent back from a dead-letter topic. Its value is TOPIC/PARTITION/OFFSET of the
// dead letter.
const HeaderRedrive = "smartlb-redrive"

// Redrive is the result of sending dead letters back; in a preview, the expected result.
type Redrive struct {
	Letters int             `json:"letters"` // selected
	Ready   int             `json:"ready"`   // can be sent
	Sent    int             `json:"sent"`
	Bytes   int64           `json:"bytes"` // masked size of the ready letters
	Targets []RedriveTarget `json:"targets"`
	Left    []RedriveLeft   `json:"left"`    // letters that are not ready, by reason
	Again   bool            `json:"again"`   // not all later records could be read: some letters may have been sent back already
	Unfixed int             `json:"failing"` // ready letters that do not conform and would be refused again; 0 where fields are masked
}

// RedriveTarget is a topic that receives messages.
type RedriveTarget struct {
	Topic    string `json:"topic"`
	Messages int    `json:"messages"`
}

// RedriveLeft is a reason why some dead letters are not sent.
type RedriveLeft struct {
	Reason   string `json:"reason"`
	Messages int    `json:"messages"`
	First    string `json:"first"` // PARTITION:OFFSET of the first such letter
}

// ErrRedrive is wrapped by errors about the request itself.
var ErrRedrive = errors.New("redrive")

// RedriveSpec selects the dead letters to send back.
type RedriveSpec struct {
	Topic    string // the dead-letter topic
	Picks    Picks  // nil: the results of Query
	Query    Query
	Dry      bool // send nothing, return the expected result
	Reserved bool // also send to topics that are topic.Reserved: the caller may write to them
}

// letter is one dead letter during a redrive.
type letter struct {
	id     string // TOPIC/PARTITION/OFFSET
	at     string // PARTITION:OFFSET
	dead   kafka.Record
	topic  string // target topic
	source string // PARTITION:OFFSET of the refused record in the target topic
	size   int
	record kafka.Record // the record to send
	why    string       // why it is not sent; empty: it is sent
}

// Redrive sends dead letters back to their original topics. If the topic still holds the original record, it sends the
// whole record with its key and headers. It marks each record with HeaderRedrive. By that mark it finds records that
// were already sent back, and does not send them twice.
func (b *Browser) Redrive(ctx context.Context, spec RedriveSpec) (Redrive, error) {
	if !strings.HasSuffix(spec.Topic, ".dlq") {
		return Redrive{}, fmt.Errorf("%w: %s is not a dead-letter topic: names of dead-letter topics end with .dlq", ErrRedrive, spec.Topic)
	}
	select { // two concurrent redrives would both find that nothing was sent back
	case b.redriving <- struct{}{}:
	case <-ctx.Done():
		return Redrive{}, fmt.Errorf("another redrive is in progress: %w", context.Cause(ctx))
	}
	defer func() { <-b.redriving }()
	letters, err := b.letters(ctx, spec)
	if err != nil {
		return Redrive{}, err
	}
	for _, l := range letters { // the producer of a dead letter controls the header with the topic
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

// restore finds the original records. A dead letter holds only 64 KiB of the value and neither key nor headers.
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
		case errors.Is(err, admin.ErrNoTopic):
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

// choose uses the original record if it matches the dead letter, otherwise the value in the dead letter. If the topic
// has masks, it does not compare values: otherwise the producer of a dead letter could find a hidden value byte by
// byte.
func (l *letter) choose(original kafka.Record, masked bool) {
	is := original.Topic != "" && len(original.Value) == l.size && bytes.HasPrefix(original.Value, l.dead.Value)
	if masked { // a record newer than the dead letter means that the topic was recreated
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

// Limits of the search for letters that were already sent back.
const (
	sentBackBytes = 512 << 20
	sentBackTime  = 5 * time.Second
	clockSkew     = time.Minute // between the clocks of brokers and producers
)

// sentBack excludes letters that were already sent back. It returns unsure if it could not check all letters.
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
		from := admin.At(at.Add(-clockSkew))
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
		out.Bytes += int64(b.veil(spec.Topic).over(b.veil(l.topic).over(l.record)).Size())
		shown := Message{Message: records.Message{Topic: l.topic}}
		if c := shown.checked(l.record.Value).Check; c != nil && !c.Conforms && !b.veil(l.topic).on && !b.veil(spec.Topic).on {
			out.Unfixed++ // an error about a field would reveal its content
		}
		by[l.topic] = append(by[l.topic], l.record)
	}
	for _, reason := range slices.Sorted(maps.Keys(left)) {
		out.Left = append(out.Left, *left[reason])
	}
	for _, target := range slices.Sorted(maps.Keys(by)) {
		out.Targets = append(out.Targets, RedriveTarget{target, len(by[target])})
		sent, err := b.deliver(ctx, records.ProduceSpec{Topic: target, Partition: -1, Linger: 5 * time.Millisecond}, by[target], spec.Dry)
		out.Sent += int(sent.Records)
		if err != nil {
			return fmt.Errorf("%w; %d were sent", err, out.Sent)
		}
	}
	slices.SortStableFunc(out.Left, func(a, b RedriveLeft) int { return cmp.Compare(b.Messages, a.Messages) })
	return nil
}
