package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Ensured is the result of EnsureTopics.
type Ensured struct {
	Created []string     `json:"created"` // by this call
	Existed []string     `json:"existed"`
	Missing []Missing    `json:"missing"` // support topics that could not be created
	Drift   []topic.Step `json:"drift"`   // differences between existing topics and the catalog; nothing was changed
}

// Missing is a support topic that does not exist, and the reason.
type Missing struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
}

// maxReplicas is the number of replicas of a catalog topic in a cluster with at least that many brokers.
const maxReplicas = 3

// EnsureTopics creates the topics of the catalog that do not exist, in the order of the catalog, and leaves existing
// topics as they are. It retries with back-off until ctx ends, so it may be called before a broker runs. Any number of
// callers may call it at once. An error means that a core topic is missing. Support topics that may not be created are
// reported in the result.
func EnsureTopics(ctx context.Context, a *kafka.Admin, catalog topic.Catalog) (Ensured, error) {
	created := map[string]bool{}
	policy := backoff.Policy{Base: 100 * time.Millisecond, Max: 5 * time.Second, Factor: 2}
	for attempt := 0; ; attempt++ {
		result, err := ensureOnce(ctx, a, catalog, created)
		if err == nil || final(err) {
			return result, err
		}
		if !policy.Wait(ctx, attempt) {
			return result, fmt.Errorf("make topics exist: %w", err)
		}
	}
}

// final reports errors that a retry does not fix.
func final(err error) bool {
	for _, e := range []error{kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.PolicyViolation, kerr.InvalidConfig} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func ensureOnce(ctx context.Context, a *kafka.Admin, catalog topic.Catalog, created map[string]bool) (Ensured, error) {
	result := Ensured{Created: []string{}, Existed: []string{}, Missing: []Missing{}, Drift: []topic.Step{}}
	actual, err := Actual(ctx, a, catalog)
	if err != nil {
		return result, err
	}
	cluster, err := a.Describe(ctx)
	if err != nil {
		return result, err
	}
	for _, step := range topic.Diff(catalog, actual) {
		if step.Kind != topic.Create {
			continue
		}
		spec, _ := catalog.Find(step.Topic)
		err := CreateTopic(ctx, a, NewTopic{spec.Name, spec.Partitions, replicasOf(spec, cluster.Brokers), spec.Configs}, false)
		switch {
		case err == nil:
			created[spec.Name] = true
		case errors.Is(err, kerr.TopicAlreadyExists): // another client created it meanwhile
		case spec.Support && final(err):
			result.Missing = append(result.Missing, Missing{spec.Name, err.Error()})
		default:
			return result, err
		}
	}
	if len(created) > 0 { // read back the created topics
		if actual, err = Actual(ctx, a, catalog); err != nil {
			return result, err
		}
	}
	missing := map[string]bool{}
	for _, m := range result.Missing {
		missing[m.Topic] = true
	}
	for _, step := range topic.Diff(catalog, actual) {
		switch {
		case step.Kind != topic.Create:
			result.Drift = append(result.Drift, step)
		case !missing[step.Topic]:
			return result, fmt.Errorf("topic %s was created and is not listed yet", step.Topic)
		}
	}
	for _, name := range catalog.Names() {
		switch {
		case missing[name]:
		case created[name]:
			result.Created = append(result.Created, name)
		default:
			result.Existed = append(result.Existed, name)
		}
	}
	return result, nil
}

// Actual reads the topics of the catalog as they are in the cluster.
func Actual(ctx context.Context, a *kafka.Admin, catalog topic.Catalog) (map[string]topic.Actual, error) {
	all, err := listed(ctx, a, catalog.Names()...)
	if err != nil {
		return nil, err
	}
	found := kadm.TopicDetails{}
	for name, d := range all {
		if errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			continue
		}
		if d.Err != nil {
			return nil, fmt.Errorf("topic %s: %w", name, d.Err)
		}
		found[name] = d
	}
	return actualOf(ctx, a, found)
}
