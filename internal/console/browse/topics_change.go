package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// The methods below change the cluster and discard the cached state of it. If dry is true, they only check whether the
// change is possible.

// changed discards cached state that a change may have made wrong.
func (b *Browser) changed() {
	b.listing.forget()
	b.plan.forget()
}

// CreateTopic creates a topic and returns its final properties. With like, that topic's properties replace those that t
// does not set (zero partitions or replicas, settings).
func (b *Browser) CreateTopic(ctx context.Context, t admin.NewTopic, like string, dry bool) (admin.NewTopic, error) {
	t, err := b.complete(ctx, t, like)
	if err == nil {
		err = admin.CreateTopic(ctx, b.cfg.Admin, t, dry)
	}
	if err != nil || dry {
		return t, b.explained(err)
	}
	defer b.changed()
	d, err := admin.DescribeTopic(ctx, b.cfg.Admin, nil, t.Name)
	t.Partitions, t.Replicas = int32(len(d.Partitions)), int16(d.Replicas)
	return t, b.explained(err)
}

func (b *Browser) complete(ctx context.Context, t admin.NewTopic, like string) (admin.NewTopic, error) {
	out := admin.NewTopic{Name: t.Name, Partitions: 1, Replicas: -1, Configs: map[string]string{}}
	if like != "" {
		var err error
		if out, err = admin.Like(ctx, b.cfg.Admin, like, t.Name); err != nil {
			return out, err
		}
	}
	if t.Partitions != 0 {
		out.Partitions = t.Partitions
	}
	if t.Replicas != 0 {
		out.Replicas = t.Replicas
	}
	for k, v := range t.Configs {
		out.Configs[k] = topic.FromHuman(k, v)
	}
	return out, nil
}

// DeleteTopic deletes a topic with all its records.
func (b *Browser) DeleteTopic(ctx context.Context, name string, dry bool) (admin.DeletedTopic, error) {
	all, err := admin.DeleteTopics(ctx, b.cfg.Admin, !dry, name)
	if !dry {
		b.changed()
	}
	if len(all) == 0 {
		return admin.DeletedTopic{Topic: name}, b.explained(err)
	}
	return all[0], b.explained(err)
}

// AddPartitions increases the number of partitions of a topic to the total to.
func (b *Browser) AddPartitions(ctx context.Context, name string, to int, dry bool) (admin.Grown, error) {
	if dry {
		g, err := admin.PreviewPartitions(ctx, b.cfg.Admin, name, to)
		return g, b.explained(err)
	}
	defer b.changed()
	g, err := admin.AddPartitions(ctx, b.cfg.Admin, name, to, true)
	return g, b.explained(err)
}

// DeleteRecords deletes the records of a topic before a position, in some partitions or in all. admin.ParsePosition
// parses the position.
func (b *Browser) DeleteRecords(ctx context.Context, name, before string, partitions []int32, dry bool) (admin.Truncation, error) {
	at, err := admin.ParsePosition(before, time.Now())
	if err == nil && at.Relative() {
		err = admin.ErrPosition
	}
	if err != nil {
		return admin.Truncation{}, err
	}
	if !dry {
		defer b.changed()
	}
	all, err := admin.DeleteRecords(ctx, b.cfg.Admin, name, at, partitions, !dry)
	return admin.TruncationOf(name, at, all, !dry), b.explained(err)
}

// TopicSettings returns every setting of a topic with its source and default.
func (b *Browser) TopicSettings(ctx context.Context, name string) ([]admin.Setting, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	s, err := admin.DescribeConfigs(ctx, b.cfg.Admin, admin.Resource{Topic: name})
	return s, b.explained(err)
}

// ChangeTopic sets and unsets settings of a topic and reads them back. It also makes changes that may lose data: the
// caller has shown the preview.
func (b *Browser) ChangeTopic(ctx context.Context, name string, set map[string]string, unset []string, dry bool) ([]admin.ChangedConfig, error) {
	if !dry {
		defer b.changed()
	}
	c, err := admin.ChangeConfigs(ctx, b.cfg.Admin, admin.ConfigChange{Of: admin.Resource{Topic: name}, Set: set, Unset: unset, Execute: !dry, DryRun: dry})
	return c, b.explained(err)
}
