package peers

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// Proxies shows the data of other nodes' proxies. It finds them through smartlb-node-status. Its methods may be called
// concurrently; their errors are those of Client.Ask.
type Proxies struct {
	client *Client
	kafka  kafka.Config
	log    *slog.Logger
	seen   atomic.Pointer[[]nodes.Node] // the proxies of the latest search; nil: none found yet
}

// NewProxies returns the proxies that report their status to a cluster. It does not connect.
func NewProxies(client *Client, cfg kafka.Config, log *slog.Logger) *Proxies {
	return &Proxies{client: client, kafka: cfg, log: log}
}

// maxAsked is the highest number of nodes that one answer queries.
const maxAsked = 8

// kafkaTimeout is the timeout for Kafka if proxies to query are known already.
const kafkaTimeout = time.Second

// find lists the nodes with a proxy and an admin URL that reported a status recently. While Kafka is unavailable, it
// returns the last list that it found. Each client that may write to the topic can put an address there. Therefore, if
// trusted nodes exist, the list omits all others.
func (p *Proxies) find(ctx context.Context) ([]nodes.Node, error) {
	last := p.seen.Load()
	look := ctx
	if last != nil {
		var cancel context.CancelFunc
		look, cancel = context.WithTimeout(ctx, kafkaTimeout)
		defer cancel()
	}
	found, err := nodes.Live(look, p.kafka, p.log)
	found = slices.DeleteFunc(found, func(n nodes.Node) bool { return n.AdminURL == "" || !slices.Contains(n.Roles, event.RoleProxy) })
	if slices.ContainsFunc(found, p.client.Trusts) {
		found = slices.DeleteFunc(found, func(n nodes.Node) bool { return !p.client.Trusts(n) })
	}
	found = found[:min(len(found), maxAsked)]
	switch {
	case len(found) > 0:
		p.seen.Store(&found)
		return found, nil
	case last != nil:
		return *last, nil
	case err != nil:
		return nil, problem.New(problem.Unavailable, err, "")
	}
	return nil, problem.Errorf(problem.Unavailable, "no proxy sent a status in the last 15 s")
}

// Ask sends the request to the first proxy that responds.
func (p *Proxies) Ask(ctx context.Context, method, path string, body, v any) error {
	found, err := p.find(ctx)
	if err != nil {
		return err
	}
	for _, n := range found {
		err = p.client.Ask(ctx, method, n, path, body, v)
		if problem.CodeOf(err) != problem.Unavailable { // a proxy that died recently still counts as alive: use the next
			return err
		}
	}
	return err
}

// Events passes on the events of the first proxy that responds.
func (p *Proxies) Events(ctx context.Context, path string, emit func([]byte) error) error {
	found, err := p.find(ctx)
	if err != nil {
		return err
	}
	for _, n := range found {
		var begun bool
		begun, err = p.client.Events(ctx, n, path, emit)
		if begun || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (p *Proxies) get(ctx context.Context, path string, v any) error {
	return p.Ask(ctx, http.MethodGet, path, nil, v)
}

// post sends a change whose answer only confirms it.
func (p *Proxies) post(ctx context.Context, path string, body any) error {
	var answer struct{ Result string }
	return p.Ask(ctx, http.MethodPost, path, body, &answer)
}

// Sources sets the sources that a process without a proxy takes from a proxy: its view of the instances, and its demo. If
// the proxy has no demo, its answers say so.
func (p *Proxies) Sources(s *api.Sources) {
	ofInstance := func(instance, what, service string) string {
		return "/api/v1/instances/" + url.PathEscape(instance) + "/" + what + "?service=" + url.QueryEscape(service)
	}
	s.Overview = func(ctx context.Context) (o api.Overview, err error) { return o, p.get(ctx, "/api/v1/overview", &o) }
	s.OverviewEvents = func(ctx context.Context, emit func([]byte) error) error {
		return p.Events(ctx, "/api/v1/overview/events", emit)
	}
	s.Explain = func(ctx context.Context, service, instance string) (e api.Explanation, err error) {
		return e, p.get(ctx, ofInstance(instance, "explain", service), &e)
	}
	s.Past = func(ctx context.Context, service, instance string) (t api.Past, err error) {
		return t, p.get(ctx, ofInstance(instance, "past", service), &t)
	}
	s.Capacity = func(ctx context.Context, q api.CapacityQuery) (all []api.Capacity, err error) {
		return all, p.get(ctx, "/api/v1/capacity?"+q.Values().Encode(), &all)
	}
	const demo = "/api/v1/demo"
	s.Demo = func(ctx context.Context) (d api.DemoState, err error) { return d, p.get(ctx, demo, &d) }
	s.SetLoad = func(ctx context.Context, scale float64) error {
		return p.post(ctx, demo+"/load", map[string]float64{"scale": scale})
	}
	s.SetPolicy = func(ctx context.Context, service, policy, _ string) error {
		return p.post(ctx, demo+"/services/"+url.PathEscape(service)+"/policy", map[string]string{"policy": policy})
	}
	s.Fault = func(ctx context.Context, instance string, f *api.Fault) error {
		var body any = map[string]bool{"heal": true}
		if f != nil {
			body = f
		}
		return p.post(ctx, demo+"/instances/"+url.PathEscape(instance)+"/fault", body)
	}
}

// publishTimeout is the timeout for Kafka if a proxy can apply the override instead.
const publishTimeout = 5 * time.Second

// Override publishes an override. If Kafka does not respond, it sends the override to a proxy.
func (p *Proxies) Override(ctx context.Context, o event.Override, actor, reason string) (configlog.Applied, error) {
	publishing, cancel := context.WithTimeout(ctx, publishTimeout)
	err := configlog.PublishOverride(publishing, p.kafka, o, actor, reason, p.log)
	cancel()
	if err == nil {
		return configlog.Applied{Published: true}, nil
	}
	body := map[string]any{"action": o.Action, "reason": reason, "author": actor}
	if o.Weight.Set {
		body["weight"] = o.Weight.Value
	}
	if !o.EndsAt.IsZero() {
		body["for"] = time.Until(o.EndsAt).Round(time.Second).String()
	}
	var answer api.Overridden
	path := "/api/v1/services/" + url.PathEscape(o.ServiceID) + "/instances/" + url.PathEscape(o.InstanceID) + "/override"
	if refused := p.Ask(ctx, http.MethodPost, path, body, &answer); refused != nil {
		return configlog.Applied{}, problem.Errorf(problem.Unavailable, "%v; and no proxy accepted the override: %v", err, refused)
	}
	return configlog.Applied{Published: answer.Published}, nil
}
