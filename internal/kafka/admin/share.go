package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/kafka"
)

// typeShare is the type of a group whose members share the records of each partition (KIP-932). It commits no offsets.
// In each partition it has a start offset; all records before it are processed.
const typeShare = "share"

// sharing describes the share groups among groups, with their start offsets. Brokers that do not support share groups
// have none.
func sharing(ctx context.Context, adm *kadm.Client, groups []string) map[string]look {
	out := map[string]look{}
	if len(groups) == 0 {
		return out
	}
	described, _ := adm.DescribeShareGroups(ctx, groups...) // an old broker refuses the request
	var names []string
	for name, g := range described {
		if g.Err != nil || g.GroupState == "" || g.GroupState == "Dead" {
			continue
		}
		l := look{GroupDescription: GroupDescription{Name: name, Type: typeShare, State: g.GroupState, Assignor: g.Assignor, Coordinator: g.Coordinator.NodeID, Members: len(g.Members)}}
		for _, m := range g.Members {
			l.members = append(l.members, member{m.MemberID, m.ClientHost, m.ClientID, m.Assignment})
		}
		out[name] = l
		names = append(names, name)
	}
	if len(names) == 0 {
		return out
	}
	places, err := adm.DescribeShareGroupOffsets(ctx, names...)
	for name, l := range out {
		l.place(places[name], err)
		out[name] = l
	}
	return out
}

// place records the start offsets of a share group in the form of commits.
func (l *look) place(at kadm.DescribedShareGroupOffsets, err error) {
	l.placed = &kadm.FetchOffsetsResponse{Group: l.Name, Fetched: kadm.OffsetResponses{}}
	l.lags = map[kafka.TopicPartition]int64{}
	if err = errors.Join(err, at.Err); err != nil {
		l.Error = fmt.Sprintf("where it stands: %v", err)
	}
	for _, parts := range at.Offsets {
		for _, p := range parts {
			if p.Err != nil {
				continue
			}
			at := max(p.StartOffset, -1) // no member has read there yet
			l.placed.Fetched.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: at, LeaderEpoch: -1}})
			if p.Lag >= 0 { // older brokers do not report it; records after the start offset that are already processed do not count
				l.lags[kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p.Lag
			}
		}
	}
}

// moveShare sets the start offsets of a share group without members.
func moveShare(ctx context.Context, adm *kadm.Client, group string, to kadm.Offsets) error {
	done, err := adm.AlterShareGroupOffsets(ctx, group, to)
	if err != nil {
		return err
	}
	var errs []error
	done.EachError(func(topic string, partition int32, err error) {
		errs = append(errs, fmt.Errorf("%s/%d: %w", topic, partition, err))
	})
	return errors.Join(errs...)
}

// forgetShare deletes the start offsets of a share group without members in topics.
func forgetShare(ctx context.Context, adm *kadm.Client, group string, topics ...string) (kadm.DeleteOffsetsResponses, error) {
	done, err := adm.DeleteShareGroupOffsets(ctx, group, topics...)
	if err != nil {
		return nil, err
	}
	out := kadm.DeleteOffsetsResponses{}
	done.EachError(func(topic string, err error) { out[topic] = map[int32]error{0: err} })
	return out, nil
}

// unknownToClassic reports whether the old request did not find a group, which may be of another type.
func unknownToClassic(g kadm.DescribedGroup) bool {
	return errors.Is(g.Err, kerr.GroupIDNotFound) || g.Err == nil && len(g.Members) == 0 && (g.State == "Dead" || g.State == "")
}
