package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
)

// ErrNoGroup means that a consumer group does not exist.
var ErrNoGroup = errors.New("consumer group does not exist")

// Group is one line of a listing.
type Group struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Protocol string `json:"protocol"` // consumer, connect ...
}

// ListGroups lists the consumer groups by name.
func ListGroups(ctx context.Context, a *kafka.Admin) ([]Group, error) {
	listed, err := kadm.NewClient(a.Client()).ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list consumer groups: %w", err)
	}
	out := []Group{}
	for _, g := range listed.Sorted() {
		out = append(out, Group{Name: g.Group, State: g.State, Protocol: g.ProtocolType})
	}
	return out, nil
}

// GroupDescription is all about one group.
type GroupDescription struct {
	Name     string      `json:"name"`
	State    string      `json:"state"`
	Type     string      `json:"type"`     // classic or consumer (KIP-848)
	Assignor string      `json:"assignor"` // range, cooperative-sticky, uniform ...
	Members  int         `json:"members"`
	Lag      int64       `json:"lag"` // of all partitions with a commit
	Rows     []GroupPart `json:"partitions"`
}

// GroupPart is where a group stands in one partition.
type GroupPart struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Current   int64  `json:"currentOffset"` // -1: nothing is committed
	End       int64  `json:"logEndOffset"`
	Lag       int64  `json:"lag"`        // -1: not known
	Consumer  string `json:"consumerId"` // empty: nobody has the partition
	Host      string `json:"host"`
	Client    string `json:"clientId"`
}

// member is what classic and KIP-848 members have in common.
type member struct {
	id, host, client string
	parts            kadm.TopicsSet
}

// DescribeGroup describes one group; ErrNoGroup when there is none.
func DescribeGroup(ctx context.Context, a *kafka.Admin, name string) (GroupDescription, error) {
	adm := kadm.NewClient(a.Client())
	out, members, err := describeMembers(ctx, a, name)
	if err != nil {
		return out, err
	}
	committed, err := adm.FetchOffsets(ctx, name)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return out, fmt.Errorf("describe group %s: %w", name, ErrNoGroup)
	}
	if err != nil {
		return out, fmt.Errorf("describe group %s: %w", name, err)
	}
	parts := kadm.TopicsSet{}
	committed.Each(func(o kadm.OffsetResponse) { parts.Add(o.Topic, o.Partition) })
	for _, m := range members {
		parts.Merge(m.parts)
	}
	if len(parts) == 0 && len(members) == 0 && (out.State == "Dead" || out.State == "") {
		return out, fmt.Errorf("describe group %s: %w", name, ErrNoGroup)
	}
	ends := kadm.ListedOffsets{}
	if len(parts) > 0 {
		if ends, err = adm.ListEndOffsets(ctx, parts.Topics()...); err != nil {
			return out, fmt.Errorf("describe group %s: %w", name, err)
		}
	}
	out.Rows = []GroupPart{}
	parts.Each(func(topic string, partition int32) {
		row := GroupPart{Topic: topic, Partition: partition, Current: -1, End: -1, Lag: -1}
		if o, ok := committed.Lookup(topic, partition); ok && o.Err == nil {
			row.Current = o.At
		}
		if end, ok := ends.Lookup(topic, partition); ok && end.Err == nil {
			row.End = end.Offset
		}
		if row.Current >= 0 && row.End >= 0 {
			row.Lag = max(row.End-row.Current, 0)
			out.Lag += row.Lag
		}
		for _, m := range members {
			if m.parts.Lookup(topic, partition) {
				row.Consumer, row.Host, row.Client = m.id, m.host, m.client
			}
		}
		out.Rows = append(out.Rows, row)
	})
	slices.SortFunc(out.Rows, func(a, b GroupPart) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out, nil
}

// describeMembers asks for the group in both of its forms: brokers answer for
// groups of the new protocol (KIP-848) only to the new request, or describe
// them to the old one without members.
func describeMembers(ctx context.Context, a *kafka.Admin, name string) (GroupDescription, []member, error) {
	adm := kadm.NewClient(a.Client())
	out := GroupDescription{Name: name, Type: "classic"}
	var members []member
	if g, ok := describeModern(ctx, a, name); ok {
		names := topicNames(ctx, adm)
		out.Type, out.State, out.Assignor, out.Members = "consumer", g.State, g.AssignorName, len(g.Members)
		for _, m := range g.Members {
			parts := kadm.TopicsSet{}
			for _, tp := range m.Assignment.TopicPartitions {
				if name := cmp.Or(tp.Topic, names[tp.TopicID]); name != "" {
					parts.Add(name, tp.Partitions...)
				}
			}
			members = append(members, member{m.MemberID, m.ClientHost, m.ClientID, parts})
		}
		return out, members, nil
	}
	classic, err := adm.DescribeGroups(ctx, name)
	if err != nil {
		return out, nil, fmt.Errorf("describe group %s: %w", name, err)
	}
	g := classic[name]
	out.State, out.Assignor, out.Members = g.State, g.Protocol, len(g.Members)
	for _, m := range g.Members {
		parts := kadm.TopicsSet{}
		if c, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range c.Topics {
				parts.Add(t.Topic, t.Partitions...)
			}
		}
		members = append(members, member{m.MemberID, m.ClientHost, m.ClientID, parts})
	}
	return out, members, nil
}

// describeModern asks for a group of the new protocol. Brokers that have no
// such group, or no such protocol, answer with an error.
func describeModern(ctx context.Context, a *kafka.Admin, name string) (kmsg.ConsumerGroupDescribeResponseGroup, bool) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{name}
	resp, err := req.RequestWith(ctx, a.Client())
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 {
		return kmsg.ConsumerGroupDescribeResponseGroup{}, false
	}
	g := resp.Groups[0]
	return g, g.State != "" && g.State != "Dead"
}

// topicNames maps topic ids to names, for brokers that name topics by id only.
func topicNames(ctx context.Context, adm *kadm.Client) map[[16]byte]string {
	names := map[[16]byte]string{}
	listed, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return names // rows without a name are left out
	}
	for name, d := range listed {
		names[d.ID] = name
	}
	return names
}
