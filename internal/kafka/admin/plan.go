package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Plan lists the steps that make a cluster match a catalog.
type Plan struct {
	Cluster string     `json:"cluster"` // cluster id
	Drift   bool       `json:"drift"`   // they differ
	Changes bool       `json:"changes"` // applying it would change the cluster
	Counts  PlanCounts `json:"counts"`
	Steps   topic.Plan `json:"steps"`
}

// PlanCounts sums up a plan.
type PlanCounts struct {
	Create     int `json:"create"`
	Change     int `json:"change"`
	Guarded    int `json:"guarded"` // changes that need a permission
	Impossible int `json:"impossible"`
	Unmanaged  int `json:"unmanaged"` // settings that exist only in the cluster
	Foreign    int `json:"foreign"`   // topics that exist only in the cluster
}

// PlanSpec defines the comparison and the permitted changes.
type PlanSpec struct {
	File           topic.File
	Only           []string           // topics; empty: all topics of the file
	ResetUnmanaged bool               // reset settings that the file does not name to their default
	CreateOnly     bool               // change nothing that exists
	Allow          []topic.Permission // for Apply
}

// ErrCluster means that the catalog is pinned to another cluster.
var ErrCluster = errors.New("the file is for another cluster")

// MakePlan compares a cluster with a catalog. It changes nothing.
func MakePlan(ctx context.Context, a *kafka.Admin, spec PlanSpec) (Plan, error) {
	cat, err := spec.catalog()
	if err != nil {
		return Plan{}, err
	}
	cluster, err := a.Describe(ctx)
	if err != nil {
		return Plan{}, err
	}
	if spec.File.Cluster != "" && spec.File.Cluster != cluster.ID {
		return Plan{}, fmt.Errorf("%w: it names %s, this is %s", ErrCluster, spec.File.Cluster, cluster.ID)
	}
	actual, err := compared(ctx, a, cat)
	if err != nil {
		return Plan{}, err
	}
	if len(spec.Only) > 0 {
		maps.DeleteFunc(actual, func(name string, _ topic.Actual) bool { return !slices.Contains(spec.Only, name) })
	}
	steps := topic.Rules{ResetUnmanaged: spec.ResetUnmanaged, Brokers: cluster.Brokers}.Diff(cat, actual)
	if err := validate(ctx, a, cat, steps, cluster.Brokers); err != nil {
		return Plan{}, err
	}
	return planOf(cluster.ID, steps), nil
}

// validate checks at the broker whether the missing topics can be created. If not, the step becomes impossible, with
// the broker's reason.
func validate(ctx context.Context, a *kafka.Admin, cat topic.Catalog, steps topic.Plan, brokers int) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly = true
	for _, s := range steps {
		if s.Kind != topic.Create {
			continue
		}
		want, _ := cat.Find(s.Topic)
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = want.Name, want.Partitions, replicasOf(want, brokers)
		for _, key := range slices.Sorted(maps.Keys(want.Configs)) {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = key, kmsg.StringPtr(want.Configs[key])
			t.Configs = append(t.Configs, c)
		}
		req.Topics = append(req.Topics, t)
	}
	if len(req.Topics) == 0 {
		return nil
	}
	resp, err := req.RequestWith(ctx, a.Client())
	if err != nil {
		return fmt.Errorf("ask whether topics could be created: %w", err)
	}
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		if err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
			continue
		}
		message := ""
		if t.ErrorMessage != nil {
			message = *t.ErrorMessage
		}
		i := slices.IndexFunc(steps, func(s topic.Step) bool { return s.Kind == topic.Create && s.Topic == t.Topic })
		if i >= 0 {
			steps[i].Kind, steps[i].Reason = topic.Impossible, wrap(err, message, "cannot be created").Error()
		}
	}
	return nil
}

func (s PlanSpec) catalog() (topic.Catalog, error) {
	all := s.File.Catalog()
	if len(s.Only) == 0 {
		return all, nil
	}
	var out topic.Catalog
	var errs []error
	for _, name := range s.Only {
		t, known := all.Find(name)
		if !known {
			errs = append(errs, missing(errors.New("is not in the catalog"), name, all.Names()))
			continue
		}
		out = append(out, t)
	}
	return out, errors.Join(errs...)
}

func planOf(cluster string, steps topic.Plan) Plan {
	p := Plan{Cluster: cluster, Drift: steps.Drift(), Changes: steps.Changes(), Steps: steps}
	for _, s := range steps {
		switch {
		case s.Kind == topic.Create:
			p.Counts.Create++
		case s.Changes():
			p.Counts.Change++
		case s.Kind == topic.Impossible:
			p.Counts.Impossible++
		case s.Kind == topic.Unmanaged:
			p.Counts.Unmanaged++
		case s.Kind == topic.Foreign:
			p.Counts.Foreign++
		}
		if s.Needs != "" {
			p.Counts.Guarded++
		}
	}
	return p
}

// compared reads what a plan compares: the topics of the catalog with their settings, and only the names of other
// topics. A broker needs half a second for the settings of a thousand topics.
func compared(ctx context.Context, a *kafka.Admin, cat topic.Catalog) (map[string]topic.Actual, error) {
	all, err := listed(ctx, a)
	if err != nil {
		return nil, err
	}
	known := kadm.TopicDetails{}
	for name, d := range public(all) {
		if _, is := cat.Find(name); !is {
			continue
		}
		if d.Err != nil {
			return nil, fmt.Errorf("topic %s: %w", name, d.Err)
		}
		known[name] = d
	}
	actual, err := actualOf(ctx, a, known)
	if err != nil {
		return nil, err
	}
	for name, d := range all {
		if _, is := actual[name]; !is {
			actual[name] = topic.Actual{Name: name, Partitions: int32(len(d.Partitions)), Messages: -1}
		}
	}
	return actual, nil
}

// everyTopic reads all topics of a cluster except those internal to Kafka.
func everyTopic(ctx context.Context, a *kafka.Admin) (map[string]topic.Actual, error) {
	all, err := listed(ctx, a)
	if err != nil {
		return nil, err
	}
	for name, d := range all {
		if d.Err != nil {
			return nil, fmt.Errorf("topic %s: %w", name, d.Err)
		}
	}
	return actualOf(ctx, a, public(all))
}

// actualOf adds settings and counts to listed topics.
func actualOf(ctx context.Context, a *kafka.Admin, topics kadm.TopicDetails) (map[string]topic.Actual, error) {
	out := map[string]topic.Actual{}
	if len(topics) == 0 {
		return out, nil
	}
	counts, err := messageCounts(ctx, a, topics)
	if err != nil {
		return nil, err
	}
	described, err := kadm.NewClient(a.Client()).DescribeTopicConfigs(ctx, topics.Names()...)
	if err != nil {
		return nil, fmt.Errorf("read topic configurations: %w", err)
	}
	for name, d := range topics {
		out[name] = topic.Actual{
			Name: name, Partitions: int32(len(d.Partitions)), Replicas: int16(d.Partitions.NumReplicas()), Messages: counts[name],
			Configs: map[string]string{}, Defaults: map[string]string{},
		}
	}
	for _, rc := range described {
		if errors.Is(rc.Err, kerr.UnknownTopicOrPartition) {
			delete(out, rc.Name) // deleted after the listing
			continue
		}
		if rc.Err != nil {
			return nil, fmt.Errorf("read configuration of %s: %w", rc.Name, rc.Err)
		}
		for _, c := range rc.Configs {
			value, set, inherited := topicValue(c)
			if set {
				out[rc.Name].Configs[c.Key] = value
			}
			out[rc.Name].Defaults[c.Key] = inherited
		}
	}
	return out, nil
}

// Applied is the result of Apply.
type Applied struct {
	Cluster   string        `json:"cluster"`
	Steps     []AppliedStep `json:"steps"`
	Done      int           `json:"done"`
	Failed    int           `json:"failed"`
	Blocked   int           `json:"blocked"`   // steps that need a permission or are impossible
	Remaining topic.Plan    `json:"remaining"` // differences that remain, read back afterwards
}

// AppliedStep is a step of a plan and its outcome.
type AppliedStep struct {
	topic.Step
	Result Outcome `json:"result"`
	Error  string  `json:"error,omitempty"`
}

// Outcome is the result of a step.
type Outcome string

// Outcomes.
const (
	Done    Outcome = "done"
	Failed  Outcome = "failed"
	Blocked Outcome = "blocked" // needs a permission, or is impossible
	Left    Outcome = "left"    // unchanged, because it was not requested
)

// Apply makes a cluster match a catalog as far as the permissions allow, and reads the result back. It never deletes a
// topic. It continues after a failed step; the error then gives the number of failed steps. A second run changes
// nothing.
func Apply(ctx context.Context, a *kafka.Admin, spec PlanSpec) (Applied, error) {
	plan, err := MakePlan(ctx, a, spec)
	if err != nil {
		return Applied{Steps: []AppliedStep{}, Remaining: topic.Plan{}}, err
	}
	out := Applied{Cluster: plan.Cluster, Steps: []AppliedStep{}, Remaining: topic.Plan{}}
	cat, _ := spec.catalog() // MakePlan validated it
	for _, s := range plan.Steps {
		x := AppliedStep{Step: s, Result: Done}
		switch {
		case s.Kind == topic.Foreign || s.Kind == topic.Unmanaged || (spec.CreateOnly && s.Kind != topic.Create && s.Changes()):
			x.Result = Left
		case s.Kind == topic.Impossible || (s.Needs != "" && !slices.Contains(spec.Allow, s.Needs)):
			x.Result = Blocked
			out.Blocked++
		default:
			if err := applyStep(ctx, a, cat, s); err != nil {
				x.Result, x.Error = Failed, err.Error()
				out.Failed++
			} else {
				out.Done++
			}
		}
		out.Steps = append(out.Steps, x)
	}
	if err := readBack(ctx, a, spec, &out); err != nil {
		return out, fmt.Errorf("read back: %w", err)
	}
	if out.Failed > 0 {
		return out, fmt.Errorf("%d of %d steps failed", out.Failed, out.Done+out.Failed)
	}
	return out, nil
}

// readBack plans again until the applied steps have disappeared from the plan.
func readBack(ctx context.Context, a *kafka.Admin, spec PlanSpec, out *Applied) error {
	for end := time.Now().Add(settleWithin(ctx)); ; backoff.Sleep(ctx, 100*time.Millisecond) {
		rest, err := MakePlan(ctx, a, spec)
		if err != nil {
			return err
		}
		var again []string
		for _, s := range rest.Steps {
			if slices.ContainsFunc(out.Steps, func(x AppliedStep) bool { return x.Result == Done && x.Step == s }) {
				again = append(again, s.String())
			}
		}
		out.Remaining = slices.DeleteFunc(rest.Steps, func(s topic.Step) bool { return s.Kind == topic.Foreign })
		if len(again) == 0 {
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("%w: %s", errNotSo, strings.Join(again, "; "))
		}
	}
}

func applyStep(ctx context.Context, a *kafka.Admin, cat topic.Catalog, s topic.Step) error {
	want, _ := cat.Find(s.Topic)
	adm := kadm.NewClient(a.Client())
	switch s.Kind {
	case topic.Create:
		cluster, err := a.Describe(ctx, s.Topic)
		if err != nil {
			return err
		}
		return CreateTopic(ctx, a, NewTopic{want.Name, want.Partitions, replicasOf(want, cluster.Brokers), want.Configs}, false)
	case topic.AddPartitions:
		resp, err := adm.UpdatePartitions(ctx, int(want.Partitions), s.Topic)
		if err != nil || resp[s.Topic].Err != nil {
			return cmp.Or(err, wrap(resp[s.Topic].Err, resp[s.Topic].ErrMessage, "add partitions"))
		}
		everywhere(ctx, a.Client(), s.Topic, led(int(want.Partitions)))
		return nil
	case topic.SetConfig:
		return alter(ctx, a, Resource{Topic: s.Topic}, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: s.Config, Value: &s.To}}, false)
	case topic.UnsetConfig:
		return alter(ctx, a, Resource{Topic: s.Topic}, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: s.Config}}, false)
	}
	return fmt.Errorf("a step of kind %s cannot be carried out", s.Kind)
}

// replicasOf returns the number of replicas of a new catalog topic.
func replicasOf(want topic.Spec, brokers int) int16 {
	switch {
	case want.Replicas > 0:
		return want.Replicas
	case brokers >= maxReplicas:
		return maxReplicas
	}
	return 1
}

// Export returns the topics of a cluster as a file, for which a plan finds no differences. Other facts about a topic
// come from the catalog.
func Export(ctx context.Context, a *kafka.Admin, cat topic.Catalog) (topic.File, error) {
	cluster, err := a.Describe(ctx)
	if err != nil {
		return topic.File{}, err
	}
	actual, err := everyTopic(ctx, a)
	if err != nil {
		return topic.File{}, err
	}
	file := topic.File{Cluster: cluster.ID, Topics: []topic.Spec{}}
	add := func(s topic.Spec) {
		t := actual[s.Name]
		s.Partitions, s.Replicas, s.Configs = t.Partitions, t.Replicas, t.Configs
		if s.Support {
			file.Support = append(file.Support, s)
			return
		}
		file.Topics = append(file.Topics, s)
	}
	for _, s := range cat {
		if _, exists := actual[s.Name]; exists {
			add(s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(actual)) {
		if _, known := cat.Find(name); !known {
			add(topic.Spec{Name: name})
		}
	}
	return file, nil
}

// CreateMissing creates the topics that are missing, as EnsureTopics does: it waits for a broker that is starting and
// leaves existing topics as they are.
func CreateMissing(ctx context.Context, a *kafka.Admin, spec PlanSpec) (Applied, error) {
	out := Applied{Steps: []AppliedStep{}, Remaining: topic.Plan{}}
	cat, err := spec.catalog()
	if err != nil {
		return out, err
	}
	done, err := EnsureTopics(ctx, a, cat)
	for _, name := range cat.Names() {
		want, _ := cat.Find(name)
		s := AppliedStep{Step: topic.Step{Kind: topic.Create, Topic: name, To: fmt.Sprint(want.Partitions)}, Result: Done}
		i := slices.IndexFunc(done.Missing, func(m Missing) bool { return m.Topic == name })
		switch {
		case i >= 0:
			s.Result, s.Error = Failed, done.Missing[i].Reason
			out.Failed++
		case slices.Contains(done.Created, name):
			out.Done++
		case slices.Contains(done.Existed, name):
			s.Result = Left
		default:
			continue
		}
		out.Steps = append(out.Steps, s)
	}
	for _, s := range done.Drift {
		out.Remaining = append(out.Remaining, s)
	}
	return out, err
}
