package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Group is one row of a listing.
type Group struct {
	Name        string `json:"name"`
	State       string `json:"state"`
	Type        string `json:"type"`     // classic, consumer (KIP-848), share; empty if the broker does not report it
	Protocol    string `json:"protocol"` // consumer, connect ...
	Coordinator int32  `json:"coordinator"`
}

// ListGroups lists the consumer groups by name.
func ListGroups(ctx context.Context, a *kafka.Admin) ([]Group, error) {
	var out []Group
	err := coordinated(ctx, func() (err error) {
		out, err = listGroups(ctx, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list consumer groups: %w", err)
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func listGroups(ctx context.Context, a *kafka.Admin) ([]Group, error) {
	out := []Group{}
	var errs []error
	for _, shard := range a.Client().RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", shard.Meta.NodeID, shard.Err))
			continue
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			errs = append(errs, fmt.Errorf("broker %d: %w", shard.Meta.NodeID, err))
			continue
		}
		for _, g := range resp.Groups {
			out = append(out, Group{Name: g.Group, State: g.GroupState, Type: strings.ToLower(g.GroupType), Protocol: g.ProtocolType, Coordinator: shard.Meta.NodeID})
		}
	}
	return out, errors.Join(errs...)
}

// GroupDescription describes one group.
type GroupDescription struct {
	Name        string       `json:"name"`
	State       string       `json:"state"`
	Type        string       `json:"type"`     // classic, consumer (KIP-848) or share (KIP-932)
	Assignor    string       `json:"assignor"` // range, cooperative-sticky, uniform ...
	Coordinator int32        `json:"coordinator"`
	Members     int          `json:"members"`
	Consumers   []Consumer   `json:"consumers"` // members, sorted by id
	Lag         int64        `json:"lag"`       // of all partitions with a commit
	Topics      []GroupTopic `json:"topics"`
	Rows        []GroupPart  `json:"partitions"`
	Error       string       `json:"error,omitempty"` // why the description is incomplete
}

// Consumer is one member of a group.
type Consumer struct {
	ID         string `json:"id"`
	Client     string `json:"clientId"`
	Host       string `json:"host"`
	Partitions int    `json:"partitions"` // assigned partitions
}

// GroupTopic is the state of a group in one topic.
type GroupTopic struct {
	Topic      string `json:"topic"`
	Partitions int    `json:"partitions"`
	Lag        int64  `json:"lag"`
}

// GroupPart is the state of a group in one partition.
type GroupPart struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Current   int64  `json:"currentOffset"` // -1: nothing is committed
	End       int64  `json:"logEndOffset"`
	Lag       int64  `json:"lag"`        // -1: unknown
	Consumer  string `json:"consumerId"` // empty: no member has the partition
	Host      string `json:"host"`
	Client    string `json:"clientId"`
}

// member holds the fields that classic and KIP-848 members share.
type member struct {
	id, host, client string
	parts            kadm.TopicsSet
}

// DescribeGroup describes one group. It returns ErrNoGroup if the group does not exist.
func DescribeGroup(ctx context.Context, a *kafka.Admin, name string) (GroupDescription, error) {
	all, err := DescribeGroups(ctx, a, name)
	if err != nil {
		return GroupDescription{Name: name}, err
	}
	return all[0], nil
}

// DescribeGroups describes groups in the order of their names, or all groups. It needs as many requests as for one
// group. It returns ErrNoGroup if a group does not exist.
func DescribeGroups(ctx context.Context, a *kafka.Admin, names ...string) ([]GroupDescription, error) {
	if len(names) == 0 {
		listed, err := ListGroups(ctx, a)
		if err != nil {
			return nil, err
		}
		for _, g := range listed {
			names = append(names, g.Name)
		}
	}
	out := []GroupDescription{}
	if len(names) == 0 {
		return out, nil
	}
	adm := kadm.NewClient(a.Client())
	var looks map[string]look
	err := coordinated(ctx, func() (err error) {
		looks, err = lookAt(ctx, a, names)
		return err
	})
	if err != nil {
		return nil, err
	}
	commits := fetchCommits(ctx, adm, names, looks)
	topics := kadm.TopicsSet{}
	for _, name := range names {
		commits[name].Fetched.Each(func(o kadm.OffsetResponse) { topics.Add(o.Topic, o.Partition) })
		for _, m := range looks[name].members {
			topics.Merge(m.parts)
		}
	}
	ends := map[kafka.TopicPartition]int64{}
	if len(topics) > 0 {
		details, err := listed(ctx, a, topics.Topics()...)
		if err != nil {
			return nil, err
		}
		if ends, err = offsetsAt(ctx, a.Client(), details, atEnd, false); err != nil {
			return nil, fmt.Errorf("list end offsets: %w", err)
		}
	}
	var errs []error
	for _, name := range names {
		g, err := looks[name].complete(commits[name], ends)
		if err != nil {
			errs = append(errs, describeError(ctx, a, name, err))
		}
		out = append(out, g)
	}
	return out, errors.Join(errs...)
}

// fetchCommits requests the commits of groups, except those whose offsets are known already.
func fetchCommits(ctx context.Context, adm *kadm.Client, names []string, looks map[string]look) map[string]kadm.FetchOffsetsResponse {
	out := map[string]kadm.FetchOffsetsResponse{}
	var ask []string
	for _, name := range names {
		if placed := looks[name].placed; placed != nil {
			out[name] = *placed
		} else {
			ask = append(ask, name)
		}
	}
	if len(ask) > 0 {
		maps.Copy(out, adm.FetchManyOffsets(ctx, ask...))
	}
	return out
}

func describeError(ctx context.Context, a *kafka.Admin, name string, err error) error {
	if !errors.Is(err, ErrNoGroup) {
		return fmt.Errorf("describe group %s: %w", name, err)
	}
	var known []string
	if listed, err := ListGroups(ctx, a); err == nil {
		for _, g := range listed {
			known = append(known, g.Name)
		}
	}
	return fmt.Errorf("describe group %w", missing(ErrNoGroup, name, known))
}

// look is a group before its offsets are known.
type look struct {
	GroupDescription
	members []member
	placed  *kadm.FetchOffsetsResponse     // offsets of a share group; nil: commits give them
	lags    map[kafka.TopicPartition]int64 // as the broker counts them; nil: computed from the end offsets
}

// complete adds the group's offsets.
func (l look) complete(committed kadm.FetchOffsetsResponse, ends map[kafka.TopicPartition]int64) (GroupDescription, error) {
	out := l.GroupDescription
	out.Rows, out.Topics, out.Consumers = []GroupPart{}, []GroupTopic{}, []Consumer{}
	for _, m := range l.members {
		c := Consumer{ID: m.id, Client: m.client, Host: m.host}
		m.parts.Each(func(string, int32) { c.Partitions++ })
		out.Consumers = append(out.Consumers, c)
	}
	slices.SortFunc(out.Consumers, func(a, b Consumer) int { return cmp.Compare(a.ID, b.ID) })
	if errors.Is(committed.Err, kerr.GroupIDNotFound) {
		return out, ErrNoGroup
	}
	if committed.Err != nil {
		return out, committed.Err
	}
	parts := kadm.TopicsSet{}
	committed.Fetched.Each(func(o kadm.OffsetResponse) { parts.Add(o.Topic, o.Partition) })
	for _, m := range l.members {
		parts.Merge(m.parts)
	}
	if len(parts) == 0 && len(l.members) == 0 && (out.State == "Dead" || out.State == "") {
		return out, ErrNoGroup
	}
	parts.Each(func(topic string, partition int32) {
		row := GroupPart{Topic: topic, Partition: partition, Current: -1, End: -1, Lag: -1}
		if o, ok := committed.Fetched.Lookup(topic, partition); ok && o.Err == nil {
			row.Current = o.At
		}
		if end, ok := ends[kafka.TopicPartition{Topic: topic, Partition: partition}]; ok {
			row.End = end
		}
		if row.Current >= 0 && row.End >= 0 {
			row.Lag = max(row.End-row.Current, 0)
			if measured, ok := l.lags[kafka.TopicPartition{Topic: topic, Partition: partition}]; ok {
				row.Lag = measured
			}
			out.Lag += row.Lag
		}
		for _, m := range l.members {
			if m.parts.Lookup(topic, partition) {
				row.Consumer, row.Host, row.Client = m.id, m.host, m.client
			}
		}
		out.Rows = append(out.Rows, row)
	})
	slices.SortFunc(out.Rows, func(a, b GroupPart) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, r := range out.Rows {
		if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != r.Topic {
			out.Topics = append(out.Topics, GroupTopic{Topic: r.Topic})
		}
		t := &out.Topics[len(out.Topics)-1]
		t.Partitions++
		t.Lag += max(r.Lag, 0)
	}
	return out, nil
}

// lookAt describes groups of all types. Brokers describe groups of the new protocol (KIP-848) only in the new request,
// or describe them in the old request without members.
func lookAt(ctx context.Context, a *kafka.Admin, names []string) (map[string]look, error) {
	adm := kadm.NewClient(a.Client())
	out := modern(ctx, a, names)
	var old []string
	for _, name := range names {
		if _, ok := out[name]; !ok {
			old = append(old, name)
		}
	}
	if len(old) == 0 {
		return out, nil
	}
	classic, err := adm.DescribeGroups(ctx, old...)
	if err != nil {
		return nil, fmt.Errorf("describe groups: %w", err)
	}
	var unknown []string
	for _, name := range old {
		if unknownToClassic(classic[name]) {
			unknown = append(unknown, name)
		}
	}
	shared := sharing(ctx, adm, unknown)
	for _, name := range old {
		if l, is := shared[name]; is {
			out[name] = l
			continue
		}
		g := classic[name]
		if coordinatorIsComing(g.Err) {
			return nil, fmt.Errorf("describe group %s: %w", name, g.Err)
		}
		l := look{GroupDescription: GroupDescription{Name: name, Type: "classic", State: g.State, Assignor: g.Protocol, Coordinator: g.Coordinator.NodeID, Members: len(g.Members)}}
		if g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
			l.Error = g.Err.Error()
		}
		for _, m := range g.Members {
			parts := kadm.TopicsSet{}
			if c, ok := m.Assigned.AsConsumer(); ok {
				for _, t := range c.Topics {
					parts.Add(t.Topic, t.Partitions...)
				}
			}
			l.members = append(l.members, member{m.MemberID, m.ClientHost, m.ClientID, parts})
		}
		out[name] = l
	}
	return out, nil
}

// modern describes the groups that use the new protocol. Brokers return an error for other groups, or if they do not
// support the protocol.
func modern(ctx context.Context, a *kafka.Admin, groups []string) map[string]look {
	out := map[string]look{}
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = groups
	var names map[[16]byte]string
	for _, shard := range a.Client().RequestSharded(ctx, req) {
		if shard.Err != nil {
			continue
		}
		for _, g := range shard.Resp.(*kmsg.ConsumerGroupDescribeResponse).Groups {
			if g.ErrorCode != 0 || g.State == "" || g.State == "Dead" {
				continue
			}
			if names == nil {
				names = topicNames(ctx, a)
			}
			l := look{GroupDescription: GroupDescription{Name: g.Group, Type: "consumer", State: g.State, Assignor: g.AssignorName, Coordinator: shard.Meta.NodeID, Members: len(g.Members)}}
			for _, m := range g.Members {
				parts := kadm.TopicsSet{}
				for _, tp := range m.Assignment.TopicPartitions {
					if name := cmp.Or(tp.Topic, names[tp.TopicID]); name != "" {
						parts.Add(name, tp.Partitions...)
					}
				}
				l.members = append(l.members, member{m.MemberID, m.ClientHost, m.ClientID, parts})
			}
			out[g.Group] = l
		}
	}
	return out
}

// topicNames maps topic ids to names, for brokers that return only topic ids.
func topicNames(ctx context.Context, a *kafka.Admin) map[[16]byte]string {
	names := map[[16]byte]string{}
	all, err := listed(ctx, a)
	if err != nil {
		return names // rows without a name are left out
	}
	for name, d := range all {
		names[d.ID] = name
	}
	return names
}
