package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Lines of the formats through the real process, on HTTP/1.1, HTTP/2 and gRPC.
func TestAccessLogHasTheChosenFormat(t *testing.T) {
	t.Parallel()
	instance := serveH2C(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, "12345")
	}))
	for name, tc := range map[string]struct {
		options    string
		good, fail string // lines about requests for /x?y and /x/bad, with the protocol for %s; empty: no line
	}{
		"combined": {"format: combined",
			`^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /x\?y %s" 200 5 "-" "a\\x22b"$`,
			`^127\.0\.0\.1 - - \[.*\] "GET /x/bad %s" 500 5 "-" "a\\x22b"$`},
		"template": {`format: '${service} ${instance} ${path} ${protocol} ${status}'`, `^shop i /x %s 200$`, `^shop i /x/bad %s 500$`},
		"fields":   {"fields: [user_agent, path, protocol]", `^{"user_agent":"a\\"b","path":"/x","protocol":"%s"}$`, `^{"user_agent":"a\\"b","path":"/x/bad","protocol":"%s"}$`},
		"errors":   {"errorsOnly: true, fields: [path, protocol, status]", "", `^{"path":"/x/bad","protocol":"%s","status":500}$`},
		"sample":   {"sample: 0, fields: [path, protocol, status]", "", `^{"path":"/x/bad","protocol":"%s","status":500}$`},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "access.log")
			file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
proxy: {accessLog: %q, accessLogOptions: {%s}}
routes: [{name: all, path: {prefix: /}, service: shop}]
services: [{id: shop, protocol: h2c, instances: [{id: i, address: %q}]}]
`, log, tc.options, instance.Listener.Addr()))
			p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--data", t.TempDir())
			var want []string
			for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0", "gRPC"} {
				tr := &http.Transport{Protocols: new(http.Protocols)}
				tr.Protocols.SetHTTP1(protocol == "HTTP/1.1")
				tr.Protocols.SetUnencryptedHTTP2(protocol != "HTTP/1.1")
				defer tr.CloseIdleConnections()
				for path, line := range map[string]string{"/x?y": tc.good, "/x/bad": tc.fail} {
					req, _ := http.NewRequest("GET", "http://"+p.Address("web")+path, nil)
					req.Header.Set("User-Agent", `a"b`)
					if protocol == "gRPC" {
						req.Header.Set("Content-Type", "application/grpc")
					}
					res, err := tr.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					if line != "" {
						want = append(want, fmt.Sprintf(line, strings.Replace(protocol, "gRPC", "HTTP/2.0", 1)))
					}
				}
			}
			var lines []string
			eventually(t, "all lines", func() bool {
				b, _ := os.ReadFile(log)
				lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
				return len(lines) >= len(want)
			})
			for _, w := range want {
				found := false
				for _, l := range lines {
					found = found || regexp.MustCompile(w).MatchString(l)
				}
				if !found {
					t.Errorf("no line is %s:\n%s", w, strings.Join(lines, "\n"))
				}
			}
			if len(lines) != len(want) {
				t.Errorf("%d lines, want %d:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
			}
		})
	}
}

// Requests are in access-logs without a file of the access log.
func TestAccessLogIsSentToKafka(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	file := document(t, "", instances(t, 1)...)
	file = mustWrite(t, mustRead(t, file)+"proxy: {accessLogOptions: {kafka: true}}\n")
	p := node(t, b.Address("broker"), file, t.TempDir())
	for range 3 {
		if status, body, err := get(t, "http://"+p.Address("web")+"/logged?a=b"); status != 200 {
			t.Fatalf("%d %s %v", status, body, err)
		}
	}
	for _, r := range consume(t, b.Address("broker"), "access-logs", func(all []*kgo.Record) bool { return len(all) >= 3 }) {
		var m struct {
			Node, Target, ServiceID, InstanceID string
			Status                              int
			DurationMs                          float64
		}
		if err := json.Unmarshal(r.Value, &m); err != nil || m.Target != "/logged?a=b" || m.ServiceID != "shop" || m.InstanceID != "i1" || m.Status != 200 || m.DurationMs <= 0 || m.Node != string(r.Key) {
			t.Errorf("%v: %s", err, r.Value)
		}
	}
}

// Without its topic, access logs are lost and counted. They hold up no record of another topic, and go on once the topic
// is there.
func TestAMissingTopicOfAccessLogsHoldsUpNoOtherTopic(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	file := document(t, "", instances(t, 1)...)
	file = mustWrite(t, mustRead(t, file)+"proxy: {accessLogOptions: {kafka: true}}\n")
	cfg := kafka.Default()
	cfg.Brokers = []string{b.Address("broker")}
	adm := admins(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	eventually(t, "the broker has created its topics", func() bool { return b.Said(`"topics created"`) }) // else it creates a deleted one again
	if _, err := adm.DeleteTopic(ctx, topic.AccessLogs); err != nil {
		t.Fatal(err)
	}
	p := start(t, true, "run", "--roles", "proxy", "--kafka", b.Address("broker"), "--config", file, "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--drain", "2s")
	startLoad(t, "http://"+p.Address("web")+"/", 2)
	otherTopicsGoOn(t, p.Address("admin"))
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, topic.AccessLogs); err != nil {
		t.Fatal(err)
	}
	eventually(t, "access logs are sent", func() bool {
		return metric(t, p.Address("admin"), `smartlb_kafka_delivered_total{topic="access-logs"}`) > 0
	})
}

// otherTopicsGoOn waits until a node has lost access logs and delivered other records, and fails if it lost others.
func otherTopicsGoOn(t *testing.T, admin string) {
	t.Helper()
	lost := func() (logs float64, others []string) {
		for line := range strings.SplitSeq(scrape(t, admin), "\n") {
			if series, n, _ := strings.Cut(line, "} "); strings.HasPrefix(series, `smartlb_dropped_total{queue="kafka access-logs `) {
				v, _ := strconv.ParseFloat(n, 64)
				logs += v
			} else if strings.HasPrefix(series, `smartlb_dropped_total{queue="kafka `) {
				others = append(others, line)
			}
		}
		return logs, others
	}
	delivered := func(name string) float64 {
		return metric(t, admin, fmt.Sprintf("smartlb_kafka_delivered_total{topic=%q}", name))
	}
	before, others := lost()
	eventually(t, "access logs are lost", func() bool { logs, _ := lost(); return logs > before })
	metrics, status := delivered(topic.ServiceMetrics), delivered(topic.NodeStatus)
	eventually(t, "other topics go on", func() bool {
		return delivered(topic.ServiceMetrics) >= metrics+5 && delivered(topic.NodeStatus) >= status+1
	})
	if _, after := lost(); !slices.Equal(after, others) {
		t.Errorf("records of other topics were lost: %q, before %q", after, others)
	}
}

// The access log of a running demo in the console, in one that hides addresses, and in one without such a log.
func TestRequestsInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, kafkaAddr := demoIn(t, append(cleanEnv(t), "SMARTLB_PROXY_ACCESS_LOG_OPTIONS_KAFKA=true"))
	console := func(kafka, more string) string {
		p := start(t, true, "run", "--roles", "console", "--kafka", kafka, "--config", mustWrite(t, "console: {address: '127.0.0.1:0'"+more+"}\n"), "--data", t.TempDir(), "--admin", "127.0.0.1:0")
		return "http://" + p.Address("console")
	}
	off := broker(t, t.TempDir(), "127.0.0.1:0")
	inBrowser(t, "requests", consoleOf(t, admin),
		"MASKED_URL="+console(kafkaAddr, ", mask: [{topics: [access-logs], fields: [client, host]}]"), "OFF_URL="+console(off.Address("broker"), ""))
}
