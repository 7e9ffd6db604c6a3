package ops

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

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Plan is what it takes to make a cluster like a catalog.
type Plan struct {
	Cluster string     `json:"cluster"` // its id
	Drift   bool       `json:"drift"`   // they differ
	Changes bool       `json:"changes"` // carrying it out would change the cluster
	Counts  PlanCounts `json:"counts"`
	Steps   topic.Plan `json:"steps"`
}

// PlanCounts sums a plan up.
type PlanCounts struct {
	Create     int `json:"create"`
	Change     int `json:"change"`
	Guarded    int `json:"guarded"` // changes that need a permission
	Impossible int `json:"impossible"`
	Unmanaged  int `json:"unmanaged"` // settings that only the cluster has
	Foreign    int `json:"foreign"`   // topics that only the cluster has
}

// PlanSpec says what is compared and what is allowed.
type PlanSpec struct {
	File           topic.File
	Only           []string           // topics; none: all of the file
	ResetUnmanaged bool               // settings that the file does not name go back to the default
	CreateOnly     bool               // nothing that exists is changed
	Allow          []topic.Permission // for Apply
}

// ErrCluster means that a catalog is pinned to another cluster.
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

// validate asks the broker whether it would create what is missing. What it
// would not becomes impossible, with the broker's reason.
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

// compared reads what a plan compares: the topics of the catalog with their
// settings, and of the others that they are there. Settings of a thousand topics
// take a broker half a second.
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

// everyTopic reads all topics of a cluster but those internal to Kafka.
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

// actualOf adds settings and counts to topics that were listed.
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
			delete(out, rc.Name) // deleted since it was listed
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

// Applied is what Apply did.
type Applied struct {
	Cluster   string        `json:"cluster"`
	Steps     []AppliedStep `json:"steps"`
	Done      int           `json:"done"`
	Failed    int           `json:"failed"`
	Blocked   int           `json:"blocked"`   // they need a permission, or cannot be
	Remaining topic.Plan    `json:"remaining"` // differences that were read back afterwards
}

// AppliedStep is a step of a plan and what became of it.
type AppliedStep struct {
	topic.Step
	Result Outcome `json:"result"`
	Error  string  `json:"error,omitempty"`
}

// Outcome is what became of a step.
type Outcome string

// Outcomes.
const (
	Done    Outcome = "done"
	Failed  Outcome = "failed"
	Blocked Outcome = "blocked" // it needs a permission, or cannot be
	Left    Outcome = "left"    // as it is, because nobody asked for it
)

// Apply makes a cluster like a catalog as far as it is allowed, and reads back
// what it did. It never deletes a topic. It goes on after a step that failed;
// the error then says how many did. Carried out twice, the second changes
// nothing.
func Apply(ctx context.Context, a *kafka.Admin, spec PlanSpec) (Applied, error) {
	plan, err := MakePlan(ctx, a, spec)
	if err != nil {
		return Applied{Steps: []AppliedStep{}, Remaining: topic.Plan{}}, err
	}
	out := Applied{Cluster: plan.Cluster, Steps: []AppliedStep{}, Remaining: topic.Plan{}}
	cat, _ := spec.catalog() // MakePlan found it good
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

// readBack plans again until what was done is not there any more.
func readBack(ctx context.Context, a *kafka.Admin, spec PlanSpec, out *Applied) error {
	for end := time.Now().Add(patience(ctx)); ; pause(ctx, 100*time.Millisecond) {
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

// replicasOf is how many copies a new topic of the catalog gets.
func replicasOf(want topic.Spec, brokers int) int16 {
	switch {
	case want.Replicas > 0:
		return want.Replicas
	case brokers >= maxReplicas:
		return maxReplicas
	}
	return 1
}

// Export writes down the topics of a cluster, so that planning with it finds
// nothing to do. What the catalog knows of a topic beside that is kept.
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

// CreateMissing makes the topics that are missing, as EnsureTopics does: it
// waits for a broker that is starting and leaves what exists as it is.
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
