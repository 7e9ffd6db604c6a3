package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// firing lists the rules that fire.
func firing(t *testing.T, admin string) string {
	t.Helper()
	var alerts []struct {
		RuleID, Status string
		Labels         map[string]string
	}
	if err := getJSON(t, "http://"+admin+"/api/v1/alerts", &alerts); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range alerts {
		if a.Status == "firing" {
			out = append(out, fmt.Sprint(a.RuleID, a.Labels))
		}
	}
	return strings.Join(out, " ")
}

func TestAlertsFireAndResolveOnData(t *testing.T) {
	t.Parallel()
	addr, dir := porttest.Address(t), t.TempDir()
	b := broker(t, dir, addr)
	ins := instances(t, 4)
	n := node(t, addr, document(t, "    healthCheck: {interval: 200ms, timeout: 200ms}\n", ins...), t.TempDir())
	admin := n.Address("admin")
	startLoad(t, "http://"+n.Address("web")+"/", 4)
	reports, silence := context.WithCancel(t.Context())
	var reporter sync.WaitGroup
	reporter.Go(func() { // i4 reports itself, until it does not
		for reports.Err() == nil {
			produce(t, addr, "service-metrics", fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":"i4","metrics":{"cpuUsage":0.3}}`, time.Now().UTC().Format(time.RFC3339)))
			time.Sleep(time.Second)
		}
	})
	t.Cleanup(func() { silence(); reporter.Wait() })
	eventually(t, "i4's report is known", func() bool {
		for _, i := range look(t, admin).Services[0].Instances {
			if i.ID == "i4" && i.Facts != nil && i.Facts.Utilization != nil {
				return true
			}
		}
		return false
	})
	ins[0].set(true)
	eventually(t, "an instance that fails everything: fast-failing", func() bool { return strings.Contains(firing(t, admin), "fast-failing") })
	silence() // after half a minute of regular reports
	for _, in := range ins[:3] {
		in.close()
	}
	eventually(t, "instances that are gone: instance-down", func() bool { return strings.Contains(firing(t, admin), "instance-down") })
	eventually(t, "three of four gone: panic", func() bool { return strings.Contains(firing(t, admin), "panic") })
	eventually(t, "a self-reporter that fell silent: telemetry-stale", func() bool { return strings.Contains(firing(t, admin), "telemetry-stale") })

	b.stop(syscallKill)
	broker(t, t.TempDir(), addr)
	eventually(t, "a broker without its data: topic-recreated", func() bool { return strings.Contains(firing(t, admin), "topic-recreated") })
}
