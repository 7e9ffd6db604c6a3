package browse

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// maxPartRings is the highest number of partitions whose lag is stored; they take 15 MB.
const maxPartRings = 20_000

// groupsPast holds the measurements of all groups.
type groupsPast struct {
	at    time.Time // of the latest measurement; zero: none yet
	all   map[string]*groupPast
	rings int // number of stored partitions
}

// groupPast holds the measurements of one group.
type groupPast struct {
	last  admin.GroupDescription
	lag   ring
	parts map[kafka.TopicPartition]*ring
}

// Group is an entry in the list of groups.
type Group struct {
	Name     string   `json:"name"`
	State    string   `json:"state"`
	Type     string   `json:"type"` // classic, consumer (KIP-848) or share (KIP-932); empty: the broker does not report it
	Protocol string   `json:"protocol"`
	Members  *int     `json:"members"` // null: not measured yet
	Lag      *int64   `json:"lag"`     // sum of all partitions with a commit; null: not measured yet
	Topics   []string `json:"topics"`  // topics with a commit or a member
	Trend    Trend    `json:"trend"`

	Threshold *Threshold `json:"threshold"` // null: no threshold
	Alarm     bool       `json:"alarm"`     // the lag is above the threshold
}

// Trend is the direction of a group's lag.
type Trend struct {
	PerSecond *float64 `json:"perSecond"` // change of the lag over the last minute; null: unknown
	CaughtUp  *float64 `json:"caughtUpSeconds"`
	// Time until the lag is 0 if it continues to shrink at this rate; null: it does not shrink, or the rate is unknown.
}

// trendSteps is the span of a trend in steps: one minute.
const trendSteps = int(time.Minute / Step)

func (p *groupPast) trend() Trend {
	per, ok := p.lag.floor(trendSteps)
	if !ok {
		return Trend{}
	}
	t := Trend{PerSecond: &per}
	if lag := float64(p.last.Lag); lag == 0 || per < 0 {
		left := 0.0
		if lag > 0 {
			left = lag / -per
		}
		t.CaughtUp = &left
	}
	return t
}

// Groups lists the groups by name, with their lag at the latest measurement.
func (b *Browser) Groups(ctx context.Context) ([]Group, error) {
	all, err := admin.ListGroups(ctx, b.cfg.Admin)
	if err == nil {
		err = b.fresh(ctx)
	}
	if err != nil {
		return nil, b.explained(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Group, 0, len(all))
	for _, g := range all {
		x := Group{Name: g.Name, State: g.State, Type: g.Type, Protocol: g.Protocol, Topics: []string{}}
		if past := b.groups.all[g.Name]; past != nil {
			d := past.last
			x.Members, x.Lag, x.Trend, x.Type = &d.Members, &d.Lag, past.trend(), cmp.Or(x.Type, d.Type)
			for _, t := range d.Topics {
				x.Topics = append(x.Topics, t.Topic)
			}
			x.Threshold, x.Alarm = b.alarm(g.Name, d.Lag)
		}
		out = append(out, x)
	}
	return out, nil
}

// staleAfter is the age from which a request measures again, if Run does not measure.
const staleAfter = time.Minute

func (b *Browser) fresh(ctx context.Context) error {
	b.mu.Lock()
	old := time.Since(b.groups.at) > staleAfter
	b.mu.Unlock()
	if !old {
		return nil
	}
	return b.sampleGroups(ctx, time.Now())
}

// lagByTopic returns the sum of all groups' lag at the latest measurement, for each topic with a commit.
func (b *Browser) lagByTopic() map[string]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int64{}
	for _, g := range b.groups.all {
		for _, t := range g.last.Topics {
			out[t.Topic] += t.Lag
		}
	}
	return out
}

// GroupDetail describes one group.
type GroupDetail struct {
	admin.GroupDescription
	Trend Trend `json:"trend"`

	Threshold *Threshold `json:"threshold"` // null: no threshold
	Alarm     bool       `json:"alarm"`

	Reserved bool `json:"reserved"` // moving the group needs the role admin

	History Series       `json:"history"` // of the lag
	Past    []PartSeries `json:"partHistory"`
}

// PartSeries is the lag of one partition over time.
type PartSeries struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Lag       Series `json:"lag"`
}

// Group describes the current state of one group and its measurements. It returns admin.ErrNoGroup if the group does not
// exist.
func (b *Browser) Group(ctx context.Context, name string) (GroupDetail, error) {
	d, err := admin.DescribeGroup(ctx, b.cfg.Admin, name)
	if err != nil {
		return GroupDetail{}, b.explained(err)
	}
	out := GroupDetail{GroupDescription: d, Reserved: topic.ReservedGroup(name), History: Series{StepMs: Step.Milliseconds(), Points: []*float64{}}, Past: []PartSeries{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	out.Threshold, out.Alarm = b.alarm(name, d.Lag)
	past := b.groups.all[name]
	if past == nil {
		return out, nil
	}
	out.Trend, out.History = past.trend(), past.lag.series()
	for _, r := range d.Rows {
		if p := past.parts[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}]; p != nil {
			out.Past = append(out.Past, PartSeries{r.Topic, r.Partition, p.series()})
		}
	}
	return out, nil
}

func (b *Browser) describeGroups(ctx context.Context) ([]admin.GroupDescription, error) {
	all, err := admin.DescribeGroups(ctx, b.cfg.Admin)
	if len(all) > 0 || errors.Is(err, admin.ErrNoGroup) {
		err = nil // some groups may have ended since the listing; each description says what it lacks
	}
	return all, err
}

// sampleGroups measures the lag of all groups.
func (b *Browser) sampleGroups(ctx context.Context, now time.Time) error {
	all, err := b.described.get(ctx, 0, b.describeGroups)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g := &b.groups
	if g.all == nil {
		g.all = map[string]*groupPast{}
	}
	seen := map[string]bool{}
	for _, d := range all {
		seen[d.Name] = true
		past := g.all[d.Name]
		if past == nil {
			past = &groupPast{parts: map[kafka.TopicPartition]*ring{}}
			g.all[d.Name] = past
		}
		past.last = d
		past.lag.bridge(step(now), float32(d.Lag))
		for _, r := range d.Rows {
			tp := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			if r.Lag < 0 {
				continue
			}
			p := past.parts[tp]
			if p == nil {
				if g.rings >= maxPartRings {
					continue
				}
				p = &ring{}
				past.parts[tp] = p
				g.rings++
			}
			p.bridge(step(now), float32(r.Lag))
		}
	}
	for name, past := range g.all {
		if !seen[name] {
			g.rings -= len(past.parts)
			delete(g.all, name)
		}
	}
	g.at = now
	return nil
}

// ResetGroup is admin.ResetGroup.
func (b *Browser) ResetGroup(ctx context.Context, spec admin.ResetSpec) (admin.Reset, error) {
	return admin.ResetGroup(ctx, b.cfg.Admin, spec)
}

// DeleteGroup deletes a group. If dry is true, it only describes the group.
func (b *Browser) DeleteGroup(ctx context.Context, name string, dry bool) (admin.DeletedGroup, error) {
	out, err := admin.DeleteGroups(ctx, b.cfg.Admin, !dry, name)
	if len(out) != 1 {
		return admin.DeletedGroup{Group: name}, err
	}
	return out[0], err
}

// DeleteOffsets deletes a group's offsets of one topic. If dry is true, it only returns the offsets.
func (b *Browser) DeleteOffsets(ctx context.Context, group, topic string, dry bool) (admin.DeletedOffsets, error) {
	out, err := admin.DeleteOffsets(ctx, b.cfg.Admin, group, !dry, topic)
	if len(out) != 1 {
		return admin.DeletedOffsets{Topic: topic}, err
	}
	return out[0], err
}
