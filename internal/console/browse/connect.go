package browse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// Connectors is a Connect worker with the connectors of its group.
type Connectors struct {
	Address    string              `json:"address"`
	Version    string              `json:"version"`
	Cluster    string              `json:"cluster"` // id of the worker's Kafka cluster
	Connectors []connect.Connector `json:"connectors"`
}

// ErrNoConnect means that no Connect worker is known for the cluster, or that the worker does not respond.
var ErrNoConnect = errors.New("the worker of Kafka Connect is unavailable")

// ErrNoWorker is the ErrNoConnect of a cluster without a known worker.
var ErrNoWorker = fmt.Errorf("%w: no worker is known to belong to this cluster", ErrNoConnect)

// ErrConnector is wrapped by errors about the request itself.
var ErrConnector = errors.New("connector")

// connectWait is the timeout of a request to the worker. To create a connector, the worker waits until the connector's
// class has checked the settings.
const connectWait = 9 * time.Second

// worker returns a client of the cluster's Connect worker and the worker's address.
func (b *Browser) worker() (*connect.Client, string, error) {
	address := ""
	if b.cfg.Worker != nil {
		address = b.cfg.Worker()
	}
	if address == "" {
		return nil, "", ErrNoWorker
	}
	c, err := connect.New(connect.Config{URL: address, Timeout: connectWait, Retry: backoff.Policy{Base: 200 * time.Millisecond, Max: time.Second, Factor: 2}})
	if err != nil {
		return nil, address, fmt.Errorf("%w: %w", ErrNoConnect, err)
	}
	return c, address, nil
}

// connectError wraps err with ErrNoConnect, unless err is an answer of the worker.
func connectError(err error) error {
	var said *connect.Error
	if err == nil || errors.As(err, &said) || errors.Is(err, connect.ErrInvalid) || errors.Is(err, ErrConnector) || errors.Is(err, ErrNoConnect) {
		return err
	}
	if errors.Is(err, connect.ErrNoClass) {
		return fmt.Errorf("%w: %w", ErrConnector, err)
	}
	return fmt.Errorf("%w: %w", ErrNoConnect, err)
}

// Connect lists the connectors with the actual state of each connector and its tasks.
func (b *Browser) Connect(ctx context.Context) (Connectors, error) {
	c, address, err := b.worker()
	out := Connectors{Address: address, Connectors: []connect.Connector{}}
	if err != nil {
		return out, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return out, connectError(err)
	}
	out.Version, out.Cluster = info.Version, info.Cluster
	if out.Connectors, err = c.List(ctx); err != nil {
		return out, connectError(err)
	}
	b.noteMissing(ctx, out.Cluster, out.Connectors)
	for i := range out.Connectors {
		out.Connectors[i].Config = nil // only Connector returns settings
	}
	return out, nil
}

// Connector describes one connector. It masks secrets: settings with the name of a secret, and settings that the
// connector's class declares as passwords.
func (b *Browser) Connector(ctx context.Context, name string) (connect.Connector, error) {
	c, _, err := b.worker()
	if err != nil {
		return connect.Connector{}, err
	}
	out, err := c.Describe(ctx, name)
	if err != nil {
		return out, connectError(err)
	}
	if info, err := c.Info(ctx); err == nil {
		one := []connect.Connector{out}
		b.noteMissing(ctx, info.Cluster, one)
		out = one[0]
	}
	out.Config = hideSecrets(out.Config, b.secrets(ctx, c, out.Class))
	return out, nil
}

// noteMissing sets the topics that connectors name and that do not exist. It sets none if the worker has another
// cluster or Kafka does not respond.
func (b *Browser) noteMissing(ctx context.Context, cluster string, all []connect.Connector) {
	if !slices.ContainsFunc(all, func(c connect.Connector) bool {
		return len(connect.MissingTopics(c.Type, c.Config, func(string) bool { return false })) > 0
	}) {
		return
	}
	is, err := b.cluster.get(ctx, clusterAge, func(ctx context.Context) (admin.Cluster, error) { return admin.DescribeCluster(ctx, b.cfg.Admin) })
	if err != nil || is.ID != cluster {
		return
	}
	topics, err := b.listing.get(ctx, listingAge, b.list)
	if err != nil {
		return
	}
	exists := make(map[string]bool, len(topics))
	for _, t := range topics {
		exists[t.Name] = true
	}
	for i, c := range all {
		all[i].MissingTopics = connect.MissingTopics(c.Type, c.Config, func(t string) bool { return exists[t] })
	}
}

// secrets returns the settings that a class declares as passwords. On an error it returns none.
func (b *Browser) secrets(ctx context.Context, c *connect.Client, class string) []string {
	all, err := c.Settings(ctx, class)
	if err != nil {
		return nil
	}
	var out []string
	for _, s := range all {
		if s.Type == "PASSWORD" {
			out = append(out, s.Name)
		}
	}
	return out
}

func hideSecrets(config map[string]string, secrets []string) map[string]string {
	out := connect.Mask(config)
	for _, k := range secrets {
		if v := config[k]; v != "" && !strings.HasPrefix(v, "${") {
			out[k] = connect.Masked
		}
	}
	return out
}

// ConnectorOffsets returns the positions of a connector in its sources.
func (b *Browser) ConnectorOffsets(ctx context.Context, name string) ([]connect.Offset, error) {
	c, _, err := b.worker()
	if err != nil {
		return nil, err
	}
	out, err := c.Offsets(ctx, name)
	return out, connectError(err)
}

// ConnectPlugins lists the connector classes of the worker.
func (b *Browser) ConnectPlugins(ctx context.Context) ([]connect.Plugin, error) {
	c, _, err := b.worker()
	if err != nil {
		return nil, err
	}
	out, err := c.Plugins(ctx, false)
	return out, connectError(err)
}

// CheckConnector validates settings with the worker. Masked settings stand for the connector's current values. It
// returns every setting of the class with its mistakes.
func (b *Browser) CheckConnector(ctx context.Context, name string, config map[string]string) ([]connect.Setting, error) {
	c, _, err := b.worker()
	if err != nil {
		return nil, err
	}
	config, _, err = unmasked(ctx, c, name, config)
	if err != nil {
		return nil, connectError(err)
	}
	out, err := c.Check(ctx, config)
	return out, connectError(err)
}

// unmasked replaces masked secrets by their current values. It also returns the current settings of the connector; nil
// if it does not exist.
func unmasked(ctx context.Context, c *connect.Client, name string, config map[string]string) (full, now map[string]string, err error) {
	full = maps.Clone(config)
	if full == nil {
		full = map[string]string{}
	}
	full["name"] = name
	now, err = c.Get(ctx, name, true)
	if errors.Is(err, connect.ErrNotFound) {
		now, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for k, v := range full {
		if v != connect.Masked {
			continue
		}
		kept, has := now[k]
		if !has {
			return nil, nil, fmt.Errorf("%w %s: %s is masked and has no current value to keep; write the secret, or better a reference such as ${file:/path:key}", ErrConnector, name, k)
		}
		full[k] = kept
	}
	return full, now, nil
}

// AppliedConnector is the result of ApplyConnector. Secrets in Before and After are masked.
type AppliedConnector struct {
	connect.Applied
	Before map[string]string `json:"before"` // null: the connector did not exist
	After  map[string]string `json:"after"`
}

// ApplyConnector replaces the settings of a connector; masked settings keep their value. With create, the connector
// must not exist yet; otherwise it must exist. It validates the settings first. If dry is true, it changes nothing.
func (b *Browser) ApplyConnector(ctx context.Context, name string, config map[string]string, create, dry bool) (AppliedConnector, error) {
	out := AppliedConnector{Applied: connect.Applied{Name: name, Changed: []string{}}}
	c, _, err := b.worker()
	if err != nil {
		return out, err
	}
	full, now, err := unmasked(ctx, c, name, config)
	if err != nil {
		return out, connectError(err)
	}
	switch {
	case create && now != nil:
		return out, fmt.Errorf("%w %s exists already", ErrConnector, name)
	case !create && now == nil:
		_, err := c.Get(ctx, name, true)
		return out, connectError(err)
	}
	if create {
		kind, err := c.Kind(ctx, full["connector.class"])
		if err != nil {
			return out, connectError(err)
		}
		full = connect.WithTopicCreation(kind, full, nil)
	}
	secrets := b.secrets(ctx, c, full["connector.class"])
	if now != nil {
		out.Before = hideSecrets(now, secrets)
	}
	out.After = hideSecrets(full, secrets)
	if !dry {
		out.Applied, err = c.Apply(ctx, name, full)
		return out, connectError(err)
	}
	bad, err := c.Validate(ctx, full)
	if err != nil {
		return out, connectError(err)
	}
	if len(bad) > 0 {
		return out, fmt.Errorf("%w %s: %w: %s: %s", ErrConnector, name, connect.ErrInvalid, bad[0].Setting, strings.Join(bad[0].Errors, "; "))
	}
	out.Result = map[bool]string{true: "created", false: "updated"}[create]
	keys := maps.Clone(full)
	maps.Copy(keys, now)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		a, had := now[k]
		z, has := full[k]
		if had != has || a != z {
			out.Changed = append(out.Changed, k)
		}
	}
	if len(out.Changed) == 0 {
		out.Result = "unchanged"
	}
	return out, nil
}

// DoConnector requests an action. It returns when the worker has accepted the action; the worker may still be working.
func (b *Browser) DoConnector(ctx context.Context, name string, what connect.Action) error {
	c, _, err := b.worker()
	if err != nil {
		return err
	}
	return connectError(c.Do(ctx, name, what))
}
