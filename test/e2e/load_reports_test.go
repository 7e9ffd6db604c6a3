package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// exampleOf returns the example of a section of docs/load-reports.md with the addresses of this test.
func exampleOf(t *testing.T, section string, changes ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/load-reports.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## "+section+"\n")
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```\n").FindStringSubmatch(rest)
	if !found || example == nil {
		t.Fatalf("the page has no example in the section %s", section)
	}
	text := example[1]
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the example of %s has no %s", section, changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return mustWrite(t, text)
}

// Each example of the page about load reports, with a collector in a process of its own: what the instances say in their own
// form reaches the proxy and acts.
func TestLoadReports(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	kafka := b.Address("broker")
	busy := func(percent string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				_, _ = io.WriteString(w, "busy_workers "+percent+"\nmax_workers 100\nhttp_requests_in_flight 3\nhttp_requests_total{code=\"200\"} 5\n")
				return
			}
			w.Header().Set("Endpoint-Load-Metrics", "TEXT cpu_utilization=0."+percent)
			_, _ = io.WriteString(w, "ok")
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	one, two := busy("98"), busy("10")
	client := &http.Client{Timeout: maxWait}
	t.Cleanup(client.CloseIdleConnections)

	published := func(reporter, numbers string) {
		t.Helper()
		there := func(records []*kgo.Record) bool {
			return slices.ContainsFunc(records, func(r *kgo.Record) bool {
				return header(r, "smartlb-reporter") == reporter && strings.Contains(string(r.Value), numbers)
			})
		}
		if !there(consume(t, kafka, "service-metrics", there)) {
			t.Errorf("no report of %s with %s is on service-metrics", reporter, numbers)
		}
	}

	t.Run("ORCA", func(t *testing.T) {
		p := start(t, true, "run", "--roles", "proxy", "--kafka", kafka, "--config-source", "file", "--config", exampleOf(t, "Responses with ORCA", ":8080", "127.0.0.1:0", "10.0.1.1:8080", one, "10.0.1.2:8080", two), "--data", t.TempDir(), "--admin", "127.0.0.1:0")
		eventually(t, "a utilization of 98 % in responses halves the weight", func() bool {
			res, err := client.Get("http://" + p.Address("web") + "/")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.Header.Get("Endpoint-Load-Metrics") != "" {
				t.Fatalf("the client got %v", res.Header)
			}
			return vetoed(t, p.Address("admin"), "shop-1") && !vetoed(t, p.Address("admin"), "shop-2")
		})
		published("collector/orca", `"cpuUsage":0.98`)
	})

	t.Run("OTLP", func(t *testing.T) {
		p := start(t, true, "run", "--roles", "proxy,analyzer,collector", "--kafka", kafka, "--config-source", "file", "--config", exampleOf(t, "Metrics by OTLP", ":8080", "127.0.0.1:0", "10.0.1.1:8080", one, `10.0.1.2:8080"}`, two+"\"}\n      - {id: shop-3, address: \""+busy("30")+"\"}"), "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--otlp", "127.0.0.1:0")
		sender := filepath.Join(t.TempDir(), "otlp")
		if out, err := exec.Command("go", "build", "-C", "../foreign/otlp", "-o", sender, ".").CombinedOutput(); err != nil {
			t.Fatalf("building the sender: %v\n%s", err, out)
		}
		receiver := "http://" + p.Address("otlp")
		for _, args := range [][]string{{receiver, "grpc", "shop-1=98"}, {receiver, "delta", "shop-2=10", "stranger=5"}, {newCollector(t, receiver).url, "http", "shop-3=30"}} {
			cmd := exec.Command(sender, args...)
			cmd.Env = cleanEnv(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		}
		eventually(t, "a utilization of 98 % by OTLP halves the weight", func() bool {
			return vetoed(t, p.Address("admin"), "shop-1") && !vetoed(t, p.Address("admin"), "shop-2")
		})
		for _, id := range []string{"shop-1", "shop-2", "shop-3"} { // the third one by way of an OpenTelemetry collector
			rates := func(records []*kgo.Record) bool {
				return slices.ContainsFunc(records, func(r *kgo.Record) bool {
					m, err := event.DecodeServiceMetrics(r.Value)
					return err == nil && header(r, "smartlb-reporter") == "collector/otlp" && m.InstanceID == id && m.Metrics.ActiveConnections == event.Some(10) && m.Metrics.RPS.Value > 0 && m.Metrics.ErrorRate.Value > 0
				})
			}
			if !rates(consume(t, kafka, "service-metrics", rates)) {
				t.Errorf("no rates of %s are on service-metrics", id)
			}
		}
		eventually(t, "the instance that nobody knows is counted", func() bool {
			_, body, _ := get(t, "http://"+p.Address("admin")+"/metrics")
			return regexp.MustCompile(`smartlb_otlp_reports_total\{result="unknown"\} [1-9]`).MatchString(body)
		})
	})

	t.Run("pages, agents and streams", func(t *testing.T) {
		var answer atomic.Pointer[string]
		say := func(text string) { answer.Store(&text) }
		say("up 50%\n")
		_, port, _ := net.SplitHostPort(porttest.Serve(t, func(c net.Conn) { _, _ = io.WriteString(c, *answer.Load()) }))
		server := filepath.Join(t.TempDir(), "server")
		buildGRPC(t, server, "./server")
		streams, _ := grpcInstance(t, server)
		_, streamPort, _ := net.SplitHostPort(streams)
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "more.json"), []byte(`[{"targets": ["`+busy("10")+`"], "labels": {"instance": "shop-3"}}]`), 0o600); err != nil {
			t.Fatal(err)
		}
		// One service with all forms, and with an instance that a source lists. All instances are on one machine, so they share the agent and the stream of grpc-go.
		file := exampleOf(t, "Page of Prometheus", ":8080", "127.0.0.1:0", "10.0.1.1:8080", one, "10.0.1.2:8080", two,
			"interval: 5s", "interval: 1s\n        timeout: 1s", "    instances:", fmt.Sprintf("      agentCheck: {port: %s, interval: 1s}\n      orca: {outOfBand: {port: %s, interval: 1s}}\n    discovery: {file: {path: more.json}, kafka: {ports: [1-65535]}, allow: [127.0.0.0/8]}\n    instances:", port, streamPort),
			"services:", "discovery: {folder: \""+folder+"\"}\nservices:")
		_ = exampleOf(t, "Agents of HAProxy", "port: 9777", "port: "+port)
		p := start(t, true, "run", "--roles", "proxy,analyzer", "--kafka", kafka, "--config", file, "--data", t.TempDir(), "--admin", "127.0.0.1:0")
		c := start(t, true, "run", "--roles", "collector", "--kafka", kafka, "--config", mustWrite(t, "discovery: {folder: \""+folder+"\"}\n"), "--data", t.TempDir(), "--admin", "127.0.0.1:0")
		explained := func(id string) string {
			_, body, _ := get(t, "http://"+p.Address("admin")+"/api/v1/instances/"+id+"/explain")
			return body
		}
		eventually(t, "a weight of 50 % acts", func() bool { return strings.Contains(explained("shop-1"), "asks for 50 % of its configured weight") })
		eventually(t, "a utilization of 98 % on the page halves the weight", func() bool {
			return vetoed(t, p.Address("admin"), "shop-1") && !vetoed(t, p.Address("admin"), "shop-2")
		})
		published("collector/scrape", `"activeConnections":3`)
		published("collector/orca-stream", `"cpuUsage":0.125`)
		say("drain #upgrade\n")
		draining := func() (n int) {
			l := look(t, p.Address("admin"))
			for _, id := range []string{"shop-1", "shop-2", "shop-3"} {
				if state(l, id) == "draining" {
					n++
				}
			}
			return n
		}
		eventually(t, "drain drains one of three instances, which is what messages without a signature may", func() bool { return draining() == 1 })
		say("ready 100%\n")
		eventually(t, "ready ends it", func() bool { return draining() == 0 })
		fourth := busy("20")
		eventually(t, "the collector asks all instances, also the one that a source lists and the one that registers itself", func() bool {
			produce(t, kafka, "health-status", fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":"shop-4","status":"HEALTHY","checkType":"SELF","address":%q}`, time.Now().UTC().Format(time.RFC3339), fourth))
			_, body, _ := get(t, "http://"+c.Address("admin")+"/metrics")
			return strings.Contains(body, `smartlb_collector_instances{kind="scrape"} 4`) && strings.Contains(body, `smartlb_collector_instances{kind="agent-check"} 4`)
		})
	})
}
