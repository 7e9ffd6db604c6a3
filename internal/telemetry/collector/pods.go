package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/event"
)

// Cluster reads from the API server of Kubernetes. Get returns the body of an answer with status 200.
type Cluster interface {
	Get(ctx context.Context, path string) ([]byte, error)
}

// maxPodReads limits the pods whose limits one question reads. The next question reads the limits of others.
const maxPodReads = 100

// resources are CPU in cores and memory in bytes; 0: unknown.
type resources struct{ cpu, memory float64 }

// amounts are resources as Kubernetes writes them.
type amounts struct{ CPU, Memory string }

// podSampler makes messages of the metrics of the pods of one service. It keeps the limits of pods: they seldom change.
type podSampler struct {
	cluster   Cluster
	namespace string
	limits    map[string]limit // by id of the instance
}

type limit struct {
	incarnation string
	resources
	at time.Time // of the last message: a pod whose metrics have not changed has none
}

// podMetricsList is the answer of the metrics API, as far as it is used.
type podMetricsList struct {
	Items []struct {
		Metadata   struct{ Name string }
		Timestamp  time.Time
		Containers []struct{ Usage amounts }
	}
}

// podSpec is a pod, as far as it is used.
type podSpec struct {
	Metadata struct{ UID string }
	Spec     struct {
		Containers []struct{ Resources struct{ Limits amounts } }
	}
}

// ask returns messages of the instances whose metrics are new. Instances that are no pods, and pods without limits, have none. The
// error, which may come with messages, is the first one.
func (p *podSampler) ask(ctx context.Context, service string, instances []config.Instance) (out []event.ServiceMetrics, err error) {
	src, err := p.cluster.Get(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/"+p.namespace+"/pods")
	if err != nil {
		return nil, fmt.Errorf("metrics of pods: %w", err)
	}
	var list podMetricsList
	if err := json.Unmarshal(src, &list); err != nil {
		return nil, fmt.Errorf("metrics of pods: %w", err)
	}
	pods := p.forget(instances)
	reads, found := 0, false
	var first error
	for _, item := range list.Items {
		id := discovery.PodID(item.Metadata.Name)
		in, ours := pods[id]
		if !ours {
			continue
		}
		found = true
		known, have := p.limits[id]
		if !have {
			if reads++; reads > maxPodReads {
				continue
			}
			if known, err = p.read(ctx, item.Metadata.Name, in.Incarnation); err != nil {
				if first == nil {
					first = fmt.Errorf("limits of the pod %.80q: %w", item.Metadata.Name, err)
				}
				continue
			}
		}
		used := resources{}
		for _, c := range item.Containers {
			used.cpu, used.memory = used.cpu+amount(c.Usage.CPU), used.memory+amount(c.Usage.Memory)
		}
		m := event.ServiceMetrics{Timestamp: item.Timestamp.UTC(), ServiceID: service, InstanceID: id}
		m.Metrics.CPUUsage, m.Metrics.MemoryUsage = part(used.cpu, known.cpu), part(used.memory, known.memory)
		if m.Metrics != (event.Metrics{}) && item.Timestamp.After(known.at) {
			known.at = item.Timestamp
			out = append(out, m)
		}
		p.limits[id] = known
	}
	if !found {
		return nil, errors.New("the metrics API has no pod of the service")
	}
	return out, first
}

// forget returns the instances by their ids, and forgets the limits of pods that left.
func (p *podSampler) forget(instances []config.Instance) map[string]config.Instance {
	pods := make(map[string]config.Instance, len(instances))
	for _, in := range instances {
		if in.Incarnation != "" {
			pods[in.ID] = in
		}
	}
	for id, l := range p.limits {
		if in, stays := pods[id]; !stays || in.Incarnation != l.incarnation {
			delete(p.limits, id)
		}
	}
	return pods
}

// read returns the limits of a pod: the sums of those of its containers. A resource that a container may use without a limit is
// unknown.
func (p *podSampler) read(ctx context.Context, name, incarnation string) (limit, error) {
	src, err := p.cluster.Get(ctx, "/api/v1/namespaces/"+p.namespace+"/pods/"+url.PathEscape(name))
	if err != nil {
		return limit{}, err
	}
	var pod podSpec
	if err := json.Unmarshal(src, &pod); err != nil {
		return limit{}, err
	}
	l := limit{incarnation: incarnation}
	if pod.Metadata.UID != incarnation {
		return limit{}, errors.New("it is another pod than the instance")
	}
	cpu, memory := true, true
	for _, c := range pod.Spec.Containers {
		one := resources{amount(c.Resources.Limits.CPU), amount(c.Resources.Limits.Memory)}
		cpu, memory = cpu && one.cpu > 0, memory && one.memory > 0
		l.cpu, l.memory = l.cpu+one.cpu, l.memory+one.memory
	}
	if !cpu {
		l.cpu = 0
	}
	if !memory {
		l.memory = 0
	}
	return l, nil
}

// maxQuantity is the longest text of an amount in bytes; Kubernetes' own have some ten.
const maxQuantity = 64

// amount reads a quantity such as 250m or 128Mi; 0: it is missing or none.
func amount(text string) float64 {
	if text == "" || len(text) > maxQuantity {
		return 0
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0
	}
	return max(0, q.AsApproximateFloat64())
}

// part returns a share of a limit.
func part(used, limit float64) event.Optional {
	if limit <= 0 || !(used >= 0) {
		return event.Optional{}
	}
	return event.Some(min(round(used/limit), 1))
}
