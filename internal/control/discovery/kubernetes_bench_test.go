package discovery

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/smartlb/smartlb/internal/control/config"
)

// BenchmarkKubernetesChange measures one change among 5,000 instances, from the slice to the members. A source
// reports changes at most twice a second.
func BenchmarkKubernetesChange(b *testing.B) {
	const slices, each = 50, 100
	known := newEndpointSlices("http", slices*each)
	var last discoveryv1.EndpointSlice
	for i := range slices {
		var all []discoveryv1.Endpoint
		for j := range each {
			all = append(all, pod(fmt.Sprintf("payments-7d9c5b6f4-%02d%02d", i, j), fmt.Sprintf("10.1.%d.%d", i, j)))
		}
		last = sliceWith(fmt.Sprint("payments-", i), all...)
		if err := known.put(&last); err != nil {
			b.Fatal(err)
		}
	}
	s := service(config.Discovery{Kubernetes: &config.KubernetesDiscovery{Service: "payments", Namespace: "shop"}})
	b.Setenv("KUBERNETES_SERVICE_HOST", "")
	m := New(Config{Now: time.Now, Standings: allWork, Log: slog.New(slog.DiscardHandler)})
	m.Set([]config.Service{s})
	e := m.services["s"]
	e.listings = []*listing{{source: "kubernetes shop/payments", since: time.Now()}}
	e.bounds = Bounds{Most: slices * each}
	for i := 0; b.Loop(); i++ {
		last.Endpoints[0].TargetRef.Name = fmt.Sprint("payments-7d9c5b6f4-", i)
		if err := known.put(&last); err != nil {
			b.Fatal(err)
		}
		found, err := known.instances()
		m.answered(e, e.listings[0], found, err)
		m.Step()
	}
	if len(e.members) < slices*each {
		b.Errorf("%d members: %s", len(e.members), e.listings[0].err)
	}
}
