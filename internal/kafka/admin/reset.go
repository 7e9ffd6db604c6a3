package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/kafka"
)

// TopicParts names partitions of one topic; none means all.
type TopicParts struct {
	Topic      string
	Partitions []int32
}

// ResetSpec defines the new offsets of a group.
type ResetSpec struct {
	Group   string
	To      Position
	Topics  []TopicParts // empty: all topics in which the group has commits
	Execute bool         // without it, the result is a preview

	// Exact offsets of single partitions, instead of To; limited to the offsets that the partition holds.
	Exact map[kafka.TopicPartition]int64
}

// Reset is the result for a group's offsets.
type Reset struct {
	Group    string     `json:"group"`
	To       string     `json:"to"`
	New      bool       `json:"new"` // the group does not exist yet
	Rows     []ResetRow `json:"partitions"`
	Executed bool       `json:"executed"`
}

// ResetRow is one partition of a Reset.
type ResetRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // -1: nothing was committed
	To        int64  `json:"to"`
	LagBefore int64  `json:"lagBefore"` // -1: unknown
	LagAfter  int64  `json:"lagAfter"`
}

// ResetGroup moves the committed offsets of a group. The group must have no members: they would continue at their own
// positions and overwrite the commit. A group that does not exist is created if topics are named.
func ResetGroup(ctx context.Context, a *kafka.Admin, spec ResetSpec) (Reset, error) {
	out := Reset{Group: spec.Group, To: spec.To.String(), Rows: []ResetRow{}}
	adm := kadm.NewClient(a.Client())
	g, err := DescribeGroup(ctx, a, spec.Group)
	switch {
	case errors.Is(err, ErrNoGroup) && len(spec.Topics) > 0 && !spec.To.Relative():
		out.New = true
	case err != nil:
		return out, err
	case g.Members > 0:
		return out, fmt.Errorf("reset group %s: its members would commit over it: stop them first (%s, members: %d; %w)", spec.Group, g.State, g.Members, kerr.NonEmptyGroup)
	}
	current, lags := map[kafka.TopicPartition]int64{}, map[kafka.TopicPartition]int64{}
	for _, r := range g.Rows {
		if r.Current >= 0 {
			tp := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			current[tp], lags[tp] = r.Current, r.Lag
		}
	}
	listed, err := scope(ctx, a, spec.Topics, current)
	if err != nil {
		return out, fmt.Errorf("reset group %s: %w", spec.Group, err)
	}
	if len(listed) == 0 {
		return out, fmt.Errorf("reset group %s: it has no commits; name topics", spec.Group)
	}
	placed, err := placeIn(ctx, a, listed, spec.To, current)
	if err != nil {
		return out, fmt.Errorf("reset group %s: %w", spec.Group, err)
	}
	offsets := kadm.Offsets{}
	for tp, p := range placed {
		exact, own := spec.Exact[tp]
		if own {
			p.at = min(max(exact, p.start), p.end)
		}
		row := ResetRow{Topic: tp.Topic, Partition: tp.Partition, From: -1, To: p.at, LagBefore: -1, LagAfter: p.end - p.at}
		if c, ok := current[tp]; ok {
			row.From, row.LagBefore = c, lags[tp]
		} else if spec.To.Relative() && !own {
			continue // nothing to shift
		}
		out.Rows = append(out.Rows, row)
		offsets.Add(kadm.Offset{Topic: tp.Topic, Partition: tp.Partition, At: p.at, LeaderEpoch: -1})
	}
	slices.SortFunc(out.Rows, func(a, b ResetRow) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	if !spec.Execute {
		return out, nil
	}
	if g.Type == typeShare {
		err = moveShare(ctx, adm, spec.Group, offsets)
	} else {
		err = adm.CommitAllOffsets(ctx, spec.Group, offsets)
	}
	if err != nil {
		if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.RebalanceInProgress) {
			err = fmt.Errorf("a member joined it meanwhile: %w", err)
		}
		return out, fmt.Errorf("reset group %s: %w", spec.Group, err)
	}
	out.Executed = true
	return out, nil
}

// scope lists the topics of a reset, reduced to its partitions.
func scope(ctx context.Context, a *kafka.Admin, topics []TopicParts, current map[kafka.TopicPartition]int64) (kadm.TopicDetails, error) {
	if len(topics) == 0 {
		parts := map[string][]int32{}
		for tp := range current {
			parts[tp.Topic] = append(parts[tp.Topic], tp.Partition)
		}
		for name, ids := range parts {
			topics = append(topics, TopicParts{name, ids})
		}
	}
	out := kadm.TopicDetails{}
	for _, t := range topics {
		d, err := PartitionsOf(ctx, a, t.Topic, t.Partitions)
		if err != nil {
			return nil, err
		}
		if have, twice := out[t.Topic]; twice {
			for id, p := range d.Partitions {
				have.Partitions[id] = p
			}
			continue
		}
		out[t.Topic] = d
	}
	return out, nil
}

// DeletedGroup is a group that was deleted, or would be deleted.
type DeletedGroup struct {
	Group   string `json:"group"`
	State   string `json:"state"`
	Topics  int    `json:"topics"` // with commits
	Lag     int64  `json:"lag"`
	Deleted bool   `json:"deleted"`
	Error   string `json:"error,omitempty"`
}

// DeleteGroups deletes groups with their committed offsets; without execute it only reports what they hold. It refuses
// groups with members.
func DeleteGroups(ctx context.Context, a *kafka.Admin, execute bool, names ...string) ([]DeletedGroup, error) {
	groups, err := DescribeGroups(ctx, a, names...)
	if err != nil {
		return nil, err
	}
	out := []DeletedGroup{}
	for _, g := range groups {
		if g.Members > 0 {
			return nil, fmt.Errorf("delete group %s: its members are to be stopped first (%s, members: %d; %w)", g.Name, g.State, g.Members, kerr.NonEmptyGroup)
		}
		out = append(out, DeletedGroup{Group: g.Name, State: g.State, Topics: len(g.Topics), Lag: g.Lag})
	}
	if !execute {
		return out, nil
	}
	resp, err := kadm.NewClient(a.Client()).DeleteGroups(ctx, names...)
	if err != nil {
		return out, fmt.Errorf("delete groups: %w", err)
	}
	var errs []error
	for i, g := range out {
		if err := resp[g.Group].Err; err != nil {
			out[i].Error = err.Error()
			errs = append(errs, fmt.Errorf("delete group %s: %w", g.Group, err))
			continue
		}
		out[i].Deleted = true
	}
	return out, errors.Join(errs...)
}

// DeletedOffsets is a topic for which a group's commits were deleted, or would be deleted.
type DeletedOffsets struct {
	Topic      string `json:"topic"`
	Partitions int    `json:"partitions"` // with a commit
	Lag        int64  `json:"lag"`
	Deleted    bool   `json:"deleted"`
	Error      string `json:"error,omitempty"`
}

// DeleteOffsets deletes the commits of a group for topics; without execute it only reports them. The broker refuses a
// topic to which a member is subscribed.
func DeleteOffsets(ctx context.Context, a *kafka.Admin, group string, execute bool, topics ...string) ([]DeletedOffsets, error) {
	g, err := DescribeGroup(ctx, a, group)
	if err != nil {
		return nil, err
	}
	out := []DeletedOffsets{}
	ask := kadm.TopicsSet{}
	for _, name := range topics {
		d := DeletedOffsets{Topic: name}
		for _, r := range g.Rows {
			if r.Topic == name && r.Current >= 0 {
				d.Partitions++
				d.Lag += max(r.Lag, 0)
				ask.Add(name, r.Partition)
			}
		}
		if d.Partitions == 0 {
			return out, fmt.Errorf("delete offsets of group %s: %w %q with a commit of it", group, ErrNoTopic, name)
		}
		out = append(out, d)
	}
	if !execute || len(ask) == 0 {
		return out, nil
	}
	var resp kadm.DeleteOffsetsResponses
	if adm := kadm.NewClient(a.Client()); g.Type == typeShare {
		resp, err = forgetShare(ctx, adm, group, topics...)
	} else {
		resp, err = adm.DeleteOffsets(ctx, group, ask)
	}
	if err != nil {
		return out, fmt.Errorf("delete offsets of group %s: %w", group, err)
	}
	var errs []error
	for i, d := range out {
		out[i].Deleted = true
		for id, err := range resp[d.Topic] {
			if errors.Is(err, kerr.GroupSubscribedToTopic) {
				err = fmt.Errorf("a member reads it: stop the group first (%w)", err)
			}
			if err != nil {
				out[i].Deleted, out[i].Error = false, err.Error()
				errs = append(errs, fmt.Errorf("delete offsets of group %s in %s/%d: %w", group, d.Topic, id, err))
			}
		}
	}
	return out, errors.Join(errs...)
}
