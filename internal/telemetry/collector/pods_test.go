package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// podCluster answers with texts by path.
type podCluster struct {
	mu    sync.Mutex
	texts map[string]string
	asked []string
}

func (c *podCluster) Get(_ context.Context, path string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, path)
	text, ok := c.texts[path]
	if !ok {
		return nil, errors.New("the API server answers 404")
	}
	return []byte(text), nil
}

const podMetricsPath = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"

// measured returns an answer of the metrics API: name, CPU and memory of each container of a pod.
func measured(at string, pods ...[3]string) string {
	var items []string
	for _, p := range pods {
		items = append(items, fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "shop"}, "timestamp": %q, "window": "15s", "containers": [{"name": "a", "usage": {"cpu": %q, "memory": %q}}, {"name": "b", "usage": {"cpu": "0", "memory": "1Mi"}}]}`, p[0], at, p[1], p[2]))
	}
	return `{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "items": [` + strings.Join(items, ",") + `]}`
}

func limited(uid, cpu, memory, second string) string {
	return fmt.Sprintf(`{"metadata": {"uid": %q}, "spec": {"containers": [{"resources": {"limits": {"cpu": %q, "memory": %q}}}, {"resources": {"limits": %s}}]}}`, uid, cpu, memory, second)
}

func podInstances(names ...string) (out []config.Instance) {
	for _, n := range names {
		out = append(out, config.Instance{ID: n, Address: "10.0.0.1:80", Incarnation: "uid-" + n})
	}
	return out
}

func TestMetricsOfPodsAreSharesOfTheirLimits(t *testing.T) {
	c := &podCluster{texts: map[string]string{
		podMetricsPath:                   measured("2026-11-30T08:00:00Z", [3]string{"a", "750m", "127Mi"}, [3]string{"b", "3", "63Mi"}, [3]string{"c", "1", "1Mi"}, [3]string{"foreign", "1", "1Mi"}, [3]string{"static", "1", "1Mi"}),
		"/api/v1/namespaces/shop/pods/a": limited("uid-a", "500m", "128Mi", `{"cpu": "500m", "memory": "128Mi"}`),
		"/api/v1/namespaces/shop/pods/b": limited("uid-b", "1", "128Mi", `{"cpu": "1"}`),
		"/api/v1/namespaces/shop/pods/c": limited("uid-c", "1", "1Gi", `{}`),
	}}
	p := podSampler{cluster: c, namespace: "shop", limits: map[string]limit{}}
	all := append(podInstances("a", "b", "c", "gone"), config.Instance{ID: "static"})
	got, err := p.ask(t.Context(), "payments", all)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v, want messages of a and b: the second container of c has no limits", got, err)
	}
	at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	want := []event.ServiceMetrics{
		{Timestamp: at, ServiceID: "payments", InstanceID: "a", Metrics: event.Metrics{CPUUsage: event.Some(.75), MemoryUsage: event.Some(.5)}},
		{Timestamp: at, ServiceID: "payments", InstanceID: "b", Metrics: event.Metrics{CPUUsage: event.Some(1)}},
	}
	for i := range want {
		if got[i].Metrics != want[i].Metrics || got[i].InstanceID != want[i].InstanceID || !got[i].Timestamp.Equal(at) || got[i].ServiceID != "payments" {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	if again, err := p.ask(t.Context(), "payments", all); err != nil || len(again) != 0 || len(c.asked) != 5 {
		t.Errorf("the same metrics again: %v, %v, %d questions", again, err, len(c.asked))
	}
	// A pod that is created again has other limits.
	c.texts[podMetricsPath] = measured("2026-11-30T08:00:15Z", [3]string{"a", "750m", "127Mi"})
	c.texts["/api/v1/namespaces/shop/pods/a"] = limited("new", "1500m", "512Mi", `{"cpu": "1500m", "memory": "512Mi"}`)
	all[0].Incarnation = "new"
	if got, err = p.ask(t.Context(), "payments", all[:1]); err != nil || len(got) != 1 || got[0].Metrics.CPUUsage != event.Some(.25) || len(p.limits) != 1 {
		t.Errorf("a pod that was created again: %v, %v, %d limits", got, err, len(p.limits))
	}
}

func TestAnswersAboutPodsThatAreNone(t *testing.T) {
	for _, row := range []struct{ metrics, pod, want string }{
		{"", "", "metrics of pods: the API server answers 404"},
		{"[]", "", "metrics of pods: json: cannot unmarshal array"},
		{"{", "", "metrics of pods: unexpected end"},
		{"{}", "", "the metrics API has no pod of the service"},
		{measured("2026-11-30T08:00:00Z", [3]string{"b", "1", "1"}), "", "the metrics API has no pod of the service"},
		{measured("2026-11-30T08:00:00Z", [3]string{"a", "1", "1"}), "", `limits of the pod "a": the API server answers 404`},
		{measured("2026-11-30T08:00:00Z", [3]string{"a", "1", "1"}), limited("other", "1", "1", "{}"), "it is another pod than the instance"},
		{measured("2026-11-30T08:00:00Z", [3]string{"a", "1", "1"}), "7", "cannot unmarshal number"},
		{measured("2026-11-30T08:00:00Z", [3]string{"a", "many", "-5"}), limited("uid-a", "1", "1", `{"cpu": "1", "memory": "1"}`), ""},
		{measured("2026-11-30T08:00:00Z", [3]string{"a", "1", "1"}), limited("uid-a", "-1", "0", `{"cpu": "1", "memory": "1"}`), ""},
		{measured("2026-11-30T08:00:00Z", [3]string{"a", strings.Repeat("9", 1<<16), "1"}), limited("uid-a", "1", strings.Repeat("9", 1<<16), `{"cpu": "1", "memory": "1"}`), ""},
	} {
		c := &podCluster{texts: map[string]string{}}
		if row.metrics != "" {
			c.texts[podMetricsPath] = row.metrics
		}
		if row.pod != "" {
			c.texts["/api/v1/namespaces/shop/pods/a"] = row.pod
		}
		p := podSampler{cluster: c, namespace: "shop", limits: map[string]limit{}}
		got, err := p.ask(t.Context(), "s", podInstances("a"))
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || len(got) > 0) {
			t.Errorf("%.80s: got %v, %v, want %q", row.metrics, got, err, row.want)
		}
		for _, m := range got {
			if v := m.Metrics.CPUUsage; v.Value < 0 || v.Value > 1 {
				t.Errorf("%.80s gives %v", row.metrics, m)
			}
		}
	}
}

// The limits of many pods are read a part at a time.
func TestFewLimitsAreReadAtATime(t *testing.T) {
	c := &podCluster{texts: map[string]string{}}
	var names []string
	var pods [][3]string
	for i := range maxPodReads + 10 {
		name := fmt.Sprint("p", i)
		names, pods = append(names, name), append(pods, [3]string{name, "1", "1"})
		c.texts["/api/v1/namespaces/shop/pods/"+name] = limited("uid-"+name, "2", "1", `{"cpu": "2", "memory": "1"}`)
	}
	c.texts[podMetricsPath] = measured("2026-11-30T08:00:00Z", pods...)
	p := podSampler{cluster: c, namespace: "shop", limits: map[string]limit{}}
	first, err := p.ask(t.Context(), "s", podInstances(names...))
	second, bad := p.ask(t.Context(), "s", podInstances(names...))
	if err != nil || bad != nil || len(first) != maxPodReads || len(second) != 10 {
		t.Errorf("%d and %d messages, %v, %v", len(first), len(second), err, bad)
	}
}

func TestMetricsOfPodsAreCollected(t *testing.T) {
	t.Parallel()
	cluster := &podCluster{texts: map[string]string{
		podMetricsPath:                   measured("2026-11-30T08:00:00Z", [3]string{"a", "500m", "1Mi"}),
		"/api/v1/namespaces/shop/pods/a": limited("uid-a", "500m", "1Gi", `{"cpu": "500m", "memory": "1Gi"}`),
	}}
	s := config.Service{ID: "s", Instances: podInstances("a"), LoadReports: &config.LoadReports{PodMetrics: &config.PodMetrics{Interval: 10 * time.Millisecond, Timeout: time.Minute}},
		Discovery: &config.Discovery{Kubernetes: &config.KubernetesDiscovery{Namespace: "shop"}}}
	log := &topicLog{}
	c, stop := start(t, Config{Node: "n", Cluster: cluster, Sender: log, Services: func() []config.Service { return []config.Service{s} }, Nodes: func() []string { return []string{"n"} }})
	eventually(t, "a message", func() bool {
		return len(log.of(event.TopicServiceMetrics, "a")) == 1 && c.Stats().Results[Pods][Published] > 1
	}, func() { t.Logf("%+v", c.Stats()) })
	stop()
	r := log.of(event.TopicServiceMetrics, "a")[0]
	m, err := event.DecodeServiceMetrics(r.Value)
	if reporter, _ := r.Header(event.HeaderReporter); err != nil || string(reporter) != "collector/pod-metrics" || m.Metrics.CPUUsage != event.Some(.5) {
		t.Errorf("%s %s, %v", reporter, r.Value, err)
	}
	// An access that fails at the start is tried again with each question.
	broken, later := &podCluster{texts: map[string]string{}}, &topicLog{}
	again, stop := start(t, Config{Node: "n", Cluster: broken, Sender: later, Services: func() []config.Service { return []config.Service{s} }, Nodes: func() []string { return []string{"n"} }})
	defer stop()
	eventually(t, "a cluster that cannot be reached", func() bool { return again.Stats().Results[Pods][Unreachable] > 0 }, func() {})
	broken.mu.Lock()
	broken.texts = cluster.texts
	broken.mu.Unlock()
	eventually(t, "a message after that", func() bool { return len(later.of(event.TopicServiceMetrics, "a")) == 1 }, func() { t.Logf("%+v", again.Stats()) })
}
