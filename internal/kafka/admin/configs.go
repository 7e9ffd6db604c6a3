package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Resource is a topic or a broker that has configurations.
type Resource struct {
	Topic  string // empty: a broker
	Broker int32
}

// ParseResource reads TOPIC, topic:NAME or broker:ID.
func ParseResource(text string) (Resource, error) {
	if id, ok := strings.CutPrefix(text, "broker:"); ok {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return Resource{}, fmt.Errorf("%q is no broker: broker:ID is expected", text)
		}
		return Resource{Broker: int32(n)}, nil
	}
	name := strings.TrimPrefix(text, "topic:")
	return Resource{Topic: name}, topic.CheckName(name)
}

func (r Resource) String() string {
	if r.Topic != "" {
		return r.Topic
	}
	return fmt.Sprintf("broker:%d", r.Broker)
}

// Setting is one configuration and the source of its value.
type Setting struct {
	Name      string `json:"name"`
	Value     string `json:"value"`         // empty for a secret
	Human     string `json:"human"`         // the value in readable units
	Default   string `json:"default"`       // the value that would apply if unset here; empty if the broker does not report it
	Source    string `json:"source"`        // topic, broker, cluster, file or default
	Set       bool   `json:"set"`           // set on this topic or broker
	ReadOnly  bool   `json:"readOnly"`      // changes only with a restart
	Sensitive bool   `json:"sensitive"`     // a secret
	Doc       string `json:"doc,omitempty"` // the broker's documentation, if it reports one
}

// sourceName returns the name of the source of a value.
func sourceName(s kmsg.ConfigSource) string {
	switch s {
	case kmsg.ConfigSourceDynamicTopicConfig:
		return "topic"
	case kmsg.ConfigSourceDynamicBrokerConfig:
		return "broker"
	case kmsg.ConfigSourceDynamicDefaultBrokerConfig:
		return "cluster"
	case kmsg.ConfigSourceStaticBrokerConfig:
		return "file"
	case kmsg.ConfigSourceDefaultConfig:
		return "default"
	default:
		return strings.ToLower(s.String())
	}
}

// DescribeConfigs reads the configurations of a topic or broker, sorted by name.
func DescribeConfigs(ctx context.Context, a *kafka.Admin, of Resource) ([]Setting, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, of.Topic
	own := kmsg.ConfigSourceDynamicTopicConfig
	if of.Topic == "" {
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(of.Broker))
		own = kmsg.ConfigSourceDynamicBrokerConfig
		if err := brokerExists(ctx, a, of.Broker); err != nil {
			return nil, err
		}
	} else if _, err := existing(ctx, a, of.Topic); err != nil {
		return nil, fmt.Errorf("read configuration of topic %w", err)
	}
	req.Resources = append(req.Resources, rr)
	var out []Setting
	err := untilHeard(ctx, func() (err error) {
		out, err = describeConfigs(ctx, a, of, req, own)
		return err
	})
	return out, err
}

// describeConfigs sends the request to one broker.
func describeConfigs(ctx context.Context, a *kafka.Admin, of Resource, req *kmsg.DescribeConfigsRequest, own kmsg.ConfigSource) ([]Setting, error) {
	out := []Setting{}
	for _, shard := range a.Client().RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, fmt.Errorf("read configuration of %s: %w", of, shard.Err)
		}
		for _, r := range shard.Resp.(*kmsg.DescribeConfigsResponse).Resources {
			message := ""
			if r.ErrorMessage != nil {
				message = *r.ErrorMessage
			}
			if err := wrap(kerr.ErrorForCode(r.ErrorCode), message, "read configuration of %s", of); err != nil {
				return nil, err
			}
			for _, c := range r.Configs {
				out = append(out, settingOf(c, own))
			}
		}
	}
	slices.SortFunc(out, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func settingOf(c kmsg.DescribeConfigsResponseResourceConfig, own kmsg.ConfigSource) Setting {
	s := Setting{Name: c.Name, Source: sourceName(c.Source), Set: c.Source == own, ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive}
	if c.Value != nil && !c.IsSensitive {
		s.Value, s.Default = *c.Value, *c.Value
	}
	if c.Source != kmsg.ConfigSourceDefaultConfig {
		s.Default = ""
	}
	for _, syn := range c.ConfigSynonyms {
		if syn.Source != c.Source {
			if syn.Value != nil && !c.IsSensitive {
				s.Default = *syn.Value
			}
			break
		}
	}
	if c.Documentation != nil {
		s.Doc = *c.Documentation
	}
	s.Human = topic.Human(c.Name, s.Value)
	return s
}

func brokerExists(ctx context.Context, a *kafka.Admin, id int32) error {
	m, err := kadm.NewClient(a.Client()).BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("list brokers: %w", err)
	}
	ids := m.Brokers.NodeIDs()
	if !slices.Contains(ids, id) {
		return fmt.Errorf("%w %d; there are %v", ErrNoBroker, id, ids)
	}
	return nil
}

// ConfigChange sets and unsets configurations of one topic or broker.
type ConfigChange struct {
	Of      Resource
	Set     map[string]string // values may have units
	Unset   []string
	Execute bool // required for changes of which Danger warns
	DryRun  bool // only validate
}

// ChangedConfig is one configuration that was changed, or would be changed.
type ChangedConfig struct {
	Resource string `json:"resource"`
	Name     string `json:"name"`
	From     string `json:"from"` // empty: it was not set
	To       string `json:"to"`   // empty: the default applies
	Danger   string `json:"danger,omitempty"`
	Done     bool   `json:"done"`
}

// ChangeConfigs changes single configurations and leaves the others as they are (incremental alter). If a change may
// lose data and Execute is not set, it only validates all changes and makes none. With DryRun it only validates. It
// reads the result back from the cluster.
func ChangeConfigs(ctx context.Context, a *kafka.Admin, c ConfigChange) ([]ChangedConfig, error) {
	now, err := DescribeConfigs(ctx, a, c.Of)
	if err != nil {
		return nil, err
	}
	have := map[string]Setting{}
	for _, s := range now {
		have[s.Name] = s
	}
	replicas, err := copiesOf(ctx, a, c.Of)
	if err != nil {
		return nil, err
	}
	out, alters, err := c.plan(have, replicas)
	if err != nil {
		return nil, fmt.Errorf("change configuration of %s: %w", c.Of, err)
	}
	validate := c.DryRun || !c.Execute && slices.ContainsFunc(out, func(x ChangedConfig) bool { return x.Danger != "" })
	if err := alter(ctx, a, c.Of, alters, validate); err != nil || validate {
		return out, err
	}
	return out, c.confirm(ctx, a, out)
}

// confirm reads back the changed values: brokers apply settings shortly after they accept them.
func (c ConfigChange) confirm(ctx context.Context, a *kafka.Admin, out []ChangedConfig) error {
	for end := time.Now().Add(settleWithin(ctx)); ; backoff.Sleep(ctx, 50*time.Millisecond) {
		after, err := DescribeConfigs(ctx, a, c.Of)
		if err != nil {
			return err
		}
		differs := -1
		for i, x := range out {
			j := slices.IndexFunc(after, func(s Setting) bool { return s.Name == x.Name })
			out[i].Done = j < 0 || after[j].Sensitive || (x.To == "" && !after[j].Set) || (x.To != "" && topic.SameConfig(x.Name, after[j].Value, x.To))
			if !out[i].Done {
				differs = i
			}
		}
		if differs < 0 {
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("change configuration of %s: %w: %s", c.Of, errNotSo, out[differs].Name)
		}
	}
}

// copiesOf returns the number of replicas of a topic; 0 for a broker.
func copiesOf(ctx context.Context, a *kafka.Admin, of Resource) (int, error) {
	if of.Topic == "" {
		return 0, nil
	}
	topics, err := existing(ctx, a, of.Topic)
	if err != nil {
		return 0, fmt.Errorf("read topic %w", err)
	}
	return topics[of.Topic].Partitions.NumReplicas(), nil
}

// unwritable warns if a topic would require more replicas in sync than it has.
func unwritable(key, value string, replicas int) string {
	n, err := strconv.Atoi(value)
	if key != "min.insync.replicas" || err != nil || n <= replicas {
		return ""
	}
	return fmt.Sprintf("the topic has %d replicas, so producers that wait for all (acks=all) could not write any more", replicas)
}

// brokerValue returns the effective value of a broker's setting. Retention can be set in ms, minutes or hours; the
// finest unit that is set applies.
func brokerValue(have map[string]Setting, key string) string {
	s := have[key]
	if s.Value != "" && s.Value != "null" {
		return s.Value
	}
	minutes, hours := have["log.retention.minutes"].Value, have["log.retention.hours"].Value
	switch n, err := strconv.ParseInt(cmp.Or(minutes, hours), 10, 64); {
	case key != "log.retention.ms" || err != nil:
		return s.Value
	case minutes != "":
		return strconv.FormatInt(n*60_000, 10)
	default:
		return strconv.FormatInt(n*3_600_000, 10)
	}
}

func (c ConfigChange) plan(have map[string]Setting, replicas int) ([]ChangedConfig, []kadm.AlterConfig, error) {
	out := []ChangedConfig{}
	var alters []kadm.AlterConfig
	var errs []error
	known := slices.Collect(maps.Keys(have))
	add := func(key, to string, op kadm.IncrementalOp) {
		s, exists := have[key]
		if c.Of.Topic == "" && !exists {
			errs = append(errs, missing(errors.New("is no broker configuration"), key, known))
			return
		}
		x := ChangedConfig{Resource: c.Of.String(), Name: key, To: to}
		if s.Set {
			x.From = s.Value
		}
		after := to
		switch {
		case op == kadm.DeleteConfig && s.Set:
			after = s.Default
		case op == kadm.DeleteConfig:
			after = s.Value // no change
		}
		if c.Of.Topic != "" {
			x.Danger = cmp.Or(topic.Danger(key, s.Value, after), unwritable(key, after, replicas))
		} else {
			x.Danger = topic.BrokerDanger(key, brokerValue(have, key), after)
		}
		out = append(out, x)
		alter := kadm.AlterConfig{Op: op, Name: key}
		if op == kadm.SetConfig {
			alter.Value = &to
		}
		alters = append(alters, alter)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		value := topic.FromHuman(key, c.Set[key])
		if c.Of.Topic != "" {
			if err := topic.CheckConfig(key, value); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		add(key, value, kadm.SetConfig)
	}
	for _, key := range c.Unset {
		if _, twice := c.Set[key]; twice {
			errs = append(errs, fmt.Errorf("%s is to be set and unset", key))
			continue
		}
		if _, exists := have[key]; !exists {
			errs = append(errs, missing(errors.New("is no configuration of it"), key, known))
			continue
		}
		add(key, "", kadm.DeleteConfig)
	}
	return out, alters, errors.Join(errs...)
}

func alter(ctx context.Context, a *kafka.Admin, of Resource, alters []kadm.AlterConfig, validate bool) error {
	adm := kadm.NewClient(a.Client())
	var resp kadm.AlterConfigsResponses
	var err error
	switch {
	case of.Topic != "" && validate:
		resp, err = adm.ValidateAlterTopicConfigs(ctx, alters, of.Topic)
	case of.Topic != "":
		resp, err = adm.AlterTopicConfigs(ctx, alters, of.Topic)
	case validate:
		resp, err = adm.ValidateAlterBrokerConfigs(ctx, alters, of.Broker)
	default:
		resp, err = adm.AlterBrokerConfigs(ctx, alters, of.Broker)
	}
	if err != nil {
		return fmt.Errorf("change configuration of %s: %w", of, err)
	}
	for _, r := range resp {
		if err := wrap(r.Err, r.ErrMessage, "change configuration of %s", of); err != nil {
			return err
		}
	}
	return nil
}
