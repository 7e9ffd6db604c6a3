package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/queries"
)

// prometheus is a running Prometheus that scrapes one node each second.
type prometheus struct {
	t    *testing.T
	addr string
}

func startPrometheus(t *testing.T, admin string, flags ...string) *prometheus {
	t.Helper()
	program := leftout.Unless(t, "a Prometheus that scrapes a node", "prometheus")
	rules, err := filepath.Abs("../../deployment/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, p := t.TempDir(), &prometheus{t, porttest.Address(t)}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: smartlb, static_configs: [{targets: [%q]}]}]
`, rules, admin)
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(flags, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.addr)...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of Prometheus:\n%s", log.String())
		}
	})
	eventually(t, "Prometheus is ready", func() bool {
		resp, err := http.Get("http://" + p.addr + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return p
}

// query returns the number of series of a query.
func (p *prometheus) query(query string) int {
	p.t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result json.RawMessage }
	}
	if err := getJSON(p.t, "http://"+p.addr+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
		p.t.Fatal(err)
	}
	if answer.Status != "success" {
		p.t.Errorf("%s: %s", query, answer.Error)
		return 0
	}
	var series []json.RawMessage
	_ = json.Unmarshal(answer.Data.Result, &series)
	return len(series)
}

// has waits until a query has series.
func (p *prometheus) has(where, query string) {
	p.t.Helper()
	eventually(p.t, where+" has series: "+query, func() bool { return p.query(query) > 0 || p.t.Failed() })
}

// scrape returns the text of /metrics.
func scrape(t *testing.T, admin string) string {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPrometheusAnswersEachQuery scrapes a node that serves requests, and sends Prometheus each query of the rules and of
// the dashboards. A query whose metrics the node exposes must have series.
func TestPrometheusAnswersEachQuery(t *testing.T) {
	t.Parallel()
	leftout.Unless(t, "a Prometheus that scrapes a node", "prometheus")
	node := start(t, true, "run", "--roles", "broker,analyzer,proxy", "--config", monitored(t), "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0", "--broker-internal", "")
	admin := node.Address("admin")
	eventually(t, "the node has its listeners", func() bool { return node.Address("web") != "" })
	web := "http://" + node.Address("web")
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go requestsUntil(stop, web+"/", web+"/dead")

	p, native := startPrometheus(t, admin), startPrometheus(t, admin, "--enable-feature=native-histograms")
	exposed := ""
	eventually(t, "the node reads facts", func() bool {
		exposed = scrape(t, admin)
		return strings.Contains(exposed, `smartlb_facts_latest_timestamp_seconds{topic="health-scores"}`) && strings.Contains(exposed, `route="dead",service="dead"`)
	})
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(smartlb_\w+)`).FindAllStringSubmatch(exposed, -1) {
		names[m[1]] = true
	}
	answered := 0
	check := func(where, query string) {
		if slices.ContainsFunc(queries.Metrics(query), func(m string) bool { return !names[m] }) {
			p.query(query)
			return
		}
		p.has(where, query)
		answered++
	}
	for _, r := range queries.Rules(t, "../../deployment/prometheus/rules.yaml") {
		if r.Alert != "" {
			p.query(r.Expr)
			continue
		}
		check(r.Record, r.Expr)
		check(r.Record, r.Record)
	}
	values := map[string]string{"job": "smartlb", "node": ".*", "service": "shop", "route": ".*", "instance_id": ".*", "__rate_interval": "1m"}
	for _, d := range queries.Dashboards(t, "../../deployment/grafana") {
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Definition)
			if m == nil {
				t.Errorf("%s: the variable %s has the query %q", d.File, v.Name, v.Definition)
				continue
			}
			check(d.File+" "+v.Name, fmt.Sprintf("count by (%s) (%s)", m[2], queries.Fill(t, m[1], values)))
		}
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				values["service"] = "shop"
				if strings.Contains(target.Expr, "smartlb_route_failures_total") {
					values["service"] = "dead"
				}
				check(d.File+" "+panel.Title, queries.Fill(t, target.Expr, values))
			}
		}
	}
	if answered < 80 {
		t.Errorf("only %d queries have series", answered)
	}
	p.has("the alert", `ALERTS{alertname="SmartlbServiceDown", service="dead"} or ALERTS{alertname="SmartlbErrorRatioHigh", service="dead"}`)
	native.has("a native histogram", `histogram_quantile(0.99, sum by (service) (rate(smartlb_route_request_duration_seconds{service="shop"}[1m]))) > 0`)
	native.has("a native histogram of an instance", `histogram_quantile(0.5, rate(smartlb_instance_response_duration_seconds{service="shop"}[1m])) > 0`)
}

// monitored writes a configuration with everything that has metrics: TLS, health checks, and a service without a healthy
// instance.
func monitored(t *testing.T) string {
	t.Helper()
	cert, key := certtest.New(t, "ca").IssuePEM(certtest.Options{}, "localhost")
	certFile, keyFile := certtest.Files(t, t.TempDir(), "web", cert, key)
	ins := instances(t, 2)
	text := fmt.Sprintf(`listeners:
  - {name: web, address: "127.0.0.1:0"}
  - {name: secure, address: "127.0.0.1:0", tls: {certificates: [{cert: %q, key: %q}]}}
routes:
  - {name: dead, path: {prefix: /dead}, service: dead}
  - {name: all, path: {prefix: /}, service: shop}
services:
  - id: shop
    healthCheck: {interval: 1s}
    instances:
      - {id: shop-1, address: %q}
      - {id: shop-2, address: %q}
  - {id: dead, healthCheck: {interval: 1s}, instances: [{id: dead-1, address: "127.0.0.1:1"}]}
`, certFile, keyFile, ins[0].addr, ins[1].addr)
	path := filepath.Join(t.TempDir(), "smartlb.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// requestsUntil sends requests until stop is closed.
func requestsUntil(stop <-chan struct{}, urls ...string) {
	for {
		for _, u := range urls {
			if resp, err := http.Get(u); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}
