package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBackupsAndZones: requests stay in the zone of the node while it suffices, spill over to its region when half of it fails,
// and go to the backup when no other instance is left. The cost of a request to another zone divides the share of an instance.
func TestBackupsAndZones(t *testing.T) {
	t.Parallel()
	var down [5]atomic.Bool
	var served [5]atomic.Int64
	var instances strings.Builder
	for i := range down {
		s := serveH2C(t, true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" {
				if down[i].Load() {
					w.WriteHeader(503)
				}
				return
			}
			served[i].Add(1)
		}))
		fmt.Fprintf(&instances, "      - {id: i%d, address: %q, %s}\n", i, s.Listener.Addr(), [...]string{"tags: {zone: a}", "tags: {zone: a}", "tags: {zone: b, region: x}", "tags: {zone: a, region: y}", "backup: true"}[i])
	}
	for _, protocol := range []string{"http1", "h2c"} {
		for i := range down {
			down[i].Store(false)
		}
		file := mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
node: {zone: a, region: x}
routes:
  - {name: cost, path: {exact: /cost}, service: cost}
  - {name: r, service: s}
services:
  - id: cost
    policy: round_robin
    zoneSpillover: 0
    crossZoneCost: 3
    protocol: `+protocol+`
    instances:
`+strings.Replace(strings.Join(strings.SplitAfter(instances.String(), "\n")[1:3], ""), "id: i", "id: c", 2)+`
  - id: s
    protocol: `+protocol+`
    policy: round_robin
    slowStart: 0s
    panicThreshold: 0
    healthCheck: {type: http, path: /health, interval: 1s, timeout: 1s, healthyThreshold: 1, unhealthyThreshold: 2}
    instances:
`+instances.String())
		p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
		client := &http.Client{Timeout: time.Minute}
		await := func(want string) {
			t.Helper()
			eventually(t, protocol+": the states "+want, func() bool {
				var got []string
				o := look(t, p.Address("admin"))
				for i := range down {
					got = append(got, state(o, fmt.Sprintf("i%d", i)))
				}
				return strings.Join(got, " ") == want
			})
		}
		send := func(path string, n int) (by [5]int64) {
			t.Helper()
			for i := range served {
				served[i].Store(0)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range n / 4 {
						res, err := client.Get("http://" + p.Address("web") + path)
						if err != nil {
							t.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						if _ = res.Body.Close(); res.StatusCode != 200 {
							t.Errorf("%s: got %d", protocol, res.StatusCode)
						}
					}
				})
			}
			wg.Wait()
			for i := range by {
				by[i] = served[i].Load()
			}
			return by
		}
		await("in in other-zone other-zone backup")
		if by := send("/", 40); by != [5]int64{20, 20, 0, 0, 0} {
			t.Errorf("%s: all healthy: %v", protocol, by)
		}
		if text, _, _ := smartlb(t, "explain", "i3", "--admin", p.Address("admin")); !strings.Contains(text, "i3 stands by") || !strings.Contains(text, "it is in another region than this node, and nearer instances suffice (zoneSpillover 0.7)") {
			t.Errorf("explain says %s", text)
		}
		if n := metric(t, p.Address("admin"), `smartlb_service_instances{service="s",state="other-zone"}`); n != 2 {
			t.Errorf("%v instances of other zones in the metrics", n)
		}

		if by := send("/cost", 40); by != [5]int64{0, 30, 10, 0, 0} {
			t.Errorf("%s: a request to another zone costs three times as much: %v", protocol, by)
		}
		if text, _, _ := smartlb(t, "explain", "c2", "--admin", p.Address("admin")); !strings.Contains(text, "It is in another zone than this node, so its weight is divided by 3 (crossZoneCost).") {
			t.Errorf("explain says %s", text)
		}

		down[1].Store(true)
		await("in unhealthy in other-zone backup")
		if by := send("/", 700); by[1]+by[3]+by[4] != 0 || by[0] < 480 || by[0] > 520 {
			t.Errorf("%s: half of the zone fails: %v", protocol, by)
		}

		for i := range 4 {
			down[i].Store(true)
		}
		await("unhealthy unhealthy unhealthy unhealthy in")
		if by := send("/", 20); by != [5]int64{0, 0, 0, 0, 20} {
			t.Errorf("%s: all but the backup fail: %v", protocol, by)
		}
		down[2].Store(false)
		await("unhealthy unhealthy in unhealthy backup")
		if by := send("/", 20); by != [5]int64{0, 0, 20, 0, 0} {
			t.Errorf("%s: one of the other zone is back: %v", protocol, by)
		}
		down[2].Store(true)
		down[3].Store(false)
		await("unhealthy unhealthy unhealthy in backup")
		if by := send("/", 20); by != [5]int64{0, 0, 0, 20, 0} {
			t.Errorf("%s: one of the other region is back: %v", protocol, by)
		}
	}
}
