package api_test

import (
	"context"
	"fmt"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// fakeGroups is a cluster with one group, of which everything is known.
type fakeGroups struct{}

func knownGroup(name string) error {
	if name != "g" {
		return fmt.Errorf("describe group %w: %q", admin.ErrNoGroup, name)
	}
	return nil
}

func (fakeGroups) Groups(context.Context) ([]browse.Group, error) {
	members, lag, rate, left := 1, int64(6), -2.0, 3.0
	return []browse.Group{{Name: "g", State: "Stable", Type: "consumer", Protocol: "consumer", Members: &members, Lag: &lag, Topics: []string{"t"},
		Trend: browse.Trend{PerSecond: &rate, CaughtUp: &left}, Threshold: &browse.Threshold{Lag: 5}, Alarm: true}}, nil
}

func (fakeGroups) Group(_ context.Context, name string) (browse.GroupDetail, error) {
	lag := 6.0
	series := browse.Series{From: noon, StepMs: 5000, Points: []*float64{nil, &lag}}
	return browse.GroupDetail{
		GroupDescription: admin.GroupDescription{Name: name, State: "Stable", Type: "classic", Assignor: "range", Members: 1, Lag: 6, Error: "half",
			Consumers: []admin.Consumer{{ID: "c-1", Client: "c", Host: "/127.0.0.1", Partitions: 1}}, Topics: []admin.GroupTopic{{Topic: "t", Partitions: 1, Lag: 6}},
			Rows: []admin.GroupPart{{Topic: "t", Current: 4, End: 10, Lag: 6, Consumer: "c-1", Client: "c", Host: "/127.0.0.1"}, {Topic: "t", Partition: 1, Current: -1, End: -1, Lag: -1}}},
		History: series, Past: []browse.PartSeries{{Topic: "t", Lag: series}},
	}, knownGroup(name)
}

func (fakeGroups) ResetGroup(_ context.Context, s admin.ResetSpec) (admin.Reset, error) {
	return admin.Reset{Group: s.Group, To: s.To.String(), Rows: []admin.ResetRow{{Topic: "t", From: -1, To: 4, LagBefore: -1, LagAfter: 6}}, Executed: s.Execute}, knownGroup(s.Group)
}

func (fakeGroups) DeleteGroup(_ context.Context, name string, dry bool) (admin.DeletedGroup, error) {
	return admin.DeletedGroup{Group: name, State: "Empty", Topics: 1, Lag: 6, Deleted: !dry, Error: "no"}, knownGroup(name)
}

func (fakeGroups) DeleteOffsets(_ context.Context, group, topic string, dry bool) (admin.DeletedOffsets, error) {
	return admin.DeletedOffsets{Topic: topic, Partitions: 1, Lag: 6, Deleted: !dry, Error: "no"}, knownGroup(group)
}

func (fakeGroups) SetThreshold(_ context.Context, group string, _ *browse.Threshold) error {
	return knownGroup(group)
}

// noGroups is a cluster in which nothing was found yet.
type noGroups struct{ fakeGroups }

func (noGroups) Groups(context.Context) ([]browse.Group, error) { return nil, nil }

func (noGroups) Group(_ context.Context, name string) (browse.GroupDetail, error) {
	return browse.GroupDetail{GroupDescription: admin.GroupDescription{Name: name, Consumers: []admin.Consumer{}, Topics: []admin.GroupTopic{}, Rows: []admin.GroupPart{}},
		History: browse.Series{From: noon, StepMs: 5000, Points: []*float64{}}, Past: []browse.PartSeries{}}, nil
}
