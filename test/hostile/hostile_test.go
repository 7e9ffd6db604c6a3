package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
)

func big(n int) string { return strings.Repeat("B", n) }

// expressions that would take gigabytes, minutes or the stack.
func expressions() []string {
	nested := "1"
	for range 5000 {
		nested = "[" + nested + "]"
	}
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 400), ",") + "]"
	return []string{
		`text.replace("","` + big(3000) + `").replace("","` + big(4000) + `").size()<0`,
		`(text+text+text+text+text+text+text+text).replace("","` + big(3000) + `").split("").join("` + big(3000) + `").size()<0`,
		list + `.map(a, ` + list + `.map(b, ` + list + `.map(c, text+text))).size()<0`,
		list + `.all(a, ` + list + `.all(b, ` + list + `.all(c, a+b+c>0)))`,
		`"%1000000000d".format([1]).size()<0`,
		`text.matches("(((((a{10}){10}){10}){10}){10})")`,
		`text.matches("` + strings.Repeat("(a|aa)+", 500) + `$")`,
		strings.Repeat("!", 20_000) + "true", strings.Repeat("(", 20_000), nested + ".size()>0",
	}
}

// documents that end a YAML parser by its stack or take minutes and gigabytes.
func documents() []string {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		r := fmt.Sprintf("*a%d", i-1)
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(r+",", 9), ","))
	}
	block := ""
	for i := range 2000 {
		block += strings.Repeat(" ", i) + "a:\n"
	}
	return []string{
		"routes: " + strings.Repeat("[", 100_000), "routes: " + strings.Repeat("{a: ", 50_000), bomb, block,
		strings.Repeat("- ", 100_000), "a: &x [*x]", strings.Repeat("? ", 50_000), strings.Repeat("k: v\n---\n", 50_000),
		"listeners:\n" + strings.Repeat("  - {name: a, address: ':1'}\n", 100_000), strings.Repeat("\t", 500_000), "!!" + big(1_000_000), "\x00\xff\xfe",
	}
}

func call(t *testing.T, method, address string, body any, header ...string) (int, string) {
	t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, r)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(b)
}

// trap is a server whose address a record names as that of a node: it answers
// without end and remembers who sends it a token.
type trap struct {
	*httptest.Server
	asked, tokens atomic.Int64
}

func newTrap(t *testing.T) *trap {
	p := &trap{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			p.tokens.Add(1)
		}
		for range 10_000 {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(p.CloseClientConnections)
	return p
}

// records are what anybody who reaches the broker can write.
func records(adminURL string) map[string][]string {
	now, far := time.Now().UTC().Format(time.RFC3339), "2099-01-01T00:00:00Z"
	deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	junk := []string{"", "null", "[]", "{", `{"timestamp":1}`, strings.Repeat("[", 100_000), deep, "\x00\xff", `"` + big(1_000_000) + `"`}
	out := map[string][]string{}
	for _, topic := range []string{
		"service-metrics", "health-status", "routing-decisions", "config-updates", "alerts", "audit-logs", "metrics-aggregated", "health-scores", "smartlb-node-status", "smartlb-rekey", "smartlb-rate-limits",
		"access-logs",
	} {
		out[topic] = append(out[topic], junk...)
	}
	for i, d := range documents() {
		doc, _ := json.Marshal(d)
		out["config-updates"] = append(out["config-updates"],
			fmt.Sprintf(`{"changeId":"c%d","timestamp":%q,"kind":"revision","revision":"9-%d","base":"","adopt":true,"document":%s,"sha256":"00"}`, i, now, i, doc))
	}
	for i := range 4 {
		id := fmt.Sprintf("shop-%d", i+1)
		out["health-status"] = append(out["health-status"],
			fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":%q,"status":"DRAINING","responseTime":1,"checkType":"HTTP"}`, now, id),
			fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":%q,"status":"UNHEALTHY","responseTime":1,"checkType":"HTTP"}`, far, id))
		out["health-scores"] = append(out["health-scores"],
			fmt.Sprintf(`{"serviceId":"shop","instanceId":%q,"timestamp":%q,"score":0,"raw":0,"subscores":{},"confidence":1,"samples":1000,"state":"UNHEALTHY","errorRate":1,"utilization":1,"asOf":%q,"periodMs":1,"seq":9007199254740991}`, id, far, far))
	}
	for i := range 3000 {
		out["service-metrics"] = append(out["service-metrics"],
			fmt.Sprintf(`{"timestamp":%q,"serviceId":"s%d","instanceId":"invented-%d","metrics":{"rps":1e300,"errorRate":1,"cpuUsage":1}}`, now, i%50, i))
		out["alerts"] = append(out["alerts"],
			fmt.Sprintf(`{"fingerprint":"f%d","alertId":"f%d/1","ruleId":"r%d","status":"firing","severity":"critical","labels":{"x":"%d"},"startsAt":%q,"updatedAt":%q,"seq":1}`, i, i, i, i, now, far))
	}
	claims := strings.TrimSuffix(strings.Repeat(`{"limit":"service/shop/total","demand":9007199254740991,"want":9007199254740991},`, 400), ",")
	for i := range 3000 {
		out["smartlb-rate-limits"] = append(out["smartlb-rate-limits"],
			fmt.Sprintf(`{"timestamp":%q,"node":"n%d","process":"p","sequence":%d,"limits":[%s]}`, far, i, 1+i%3*4_000_000_000_000, claims))
	}
	for i := range 30 { // with texts of megabytes
		long := big(4 << 20)
		out["config-updates"] = append(out["config-updates"],
			fmt.Sprintf(`{"changeId":"l%d","timestamp":%q,"kind":"override","comment":%q,"override":{"serviceId":"s%d","instanceId":"i","action":"drain"}}`, i, now, long, i),
			fmt.Sprintf(`{"changeId":"m%d","timestamp":%q,"kind":"silence","silence":{"id":"s%d","endsAt":%q,"labels":{"service":%q}}}`, i, now, i, far, long))
		out["smartlb-node-status"] = append(out["smartlb-node-status"],
			fmt.Sprintf(`{"timestamp":%q,"node":"n%d","roles":["proxy"],"errors":[%q]}`, now, i, long))
	}
	out["smartlb-node-status"] = append(out["smartlb-node-status"],
		fmt.Sprintf(`{"timestamp":%q,"node":"evil","roles":["proxy"],"version":"x","startedAt":%q,"adminUrl":%q,"configState":"applied"}`, now, now, adminURL),
		fmt.Sprintf(`{"timestamp":%q,"node":"meta","roles":["proxy"],"version":"x","startedAt":%q,"adminUrl":"http://169.254.169.254/latest","configState":"applied"}`, now, now))
	return out
}

// produce writes records past every check of ours, as a foreign client would.
func (v *victim) produce(all map[string][]string) {
	v.t.Helper()
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{v.Address("broker")}, 5*time.Millisecond
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			v.t.Errorf("records were not delivered: %v", err)
		}
	}()
	for topic, values := range all {
		for i, value := range values {
			ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
			if i%500 == 0 { // wait now and then: the queue is bounded
				_, err = p.SendSync(ctx, kafka.Record{Topic: topic, Value: []byte(value)})
			} else {
				p.Send(kafka.Record{Topic: topic, Value: []byte(value)})
			}
			cancel()
			if err != nil {
				v.t.Fatalf("%s: %v", topic, err)
			}
		}
	}
}

func TestNothingThatOthersCanSendStopsANodeOrItsTraffic(t *testing.T) {
	v := newVictim(t)
	v.start()
	v.attackTheAPI()
	trap := newTrap(t)
	l := v.load()
	v.produce(records(trap.URL))
	time.Sleep(10 * time.Second) // it is read, scored and judged
	v.lives("records on every topic")
	l.unharmed(t, "records on every topic")
	l.stop()
	if n := trap.tokens.Load(); n > 0 {
		t.Errorf("%d requests with a token went to an address that only a record names", n)
	}
	v.knowsItsOwn()

	v.stop(syscall.SIGKILL)
	v.start() // on all of it
	l = v.load()
	time.Sleep(5 * time.Second)
	l.stop()
	l.unharmed(t, "a second start on what the attack left")
	v.lives("a second start")
	v.knowsItsOwn()
}

// attackTheAPI sends what a viewer may send, many at a time.
func (v *victim) attackTheAPI() {
	t := v.t
	l := v.load()
	api := "http://" + v.Address("admin") + "/api/v1"
	v.produce(map[string][]string{"routing-decisions": {`{"text":"` + big(2000) + `"}`}})
	var all sync.WaitGroup
	for _, e := range expressions() {
		for range 3 {
			all.Go(func() {
				switch code, body := call(t, "GET", api+"/topics/routing-decisions/search?seconds=20&where="+url.QueryEscape(e), nil); code {
				case http.StatusOK, http.StatusBadRequest, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusRequestHeaderFieldsTooLarge:
				default:
					t.Errorf("%.60s is answered with %d %s", e, code, body)
				}
			})
		}
	}
	for _, d := range documents() {
		all.Go(func() {
			if code, body := call(t, "POST", api+"/config/check", map[string]string{"document": d}); code == 0 {
				t.Errorf("no answer to the document %.40q: %s", d, body)
			}
		})
	}
	for _, path := range []string{"/topics/routing-decisions/search", "/topics/routing-decisions/events", "/overview/events", "/decisions"} {
		if code, _ := call(t, "GET", api+path, nil, "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
			t.Errorf("%s answers a page of another origin with %d", path, code)
		}
	}
	for range 300 { // without a login
		all.Go(func() {
			call(t, "GET", "http://"+v.Address("console")+"/api/v1/login/oidc/callback?state=x&code=y", nil)
		})
	}
	all.Wait()
	v.lives("expressions and documents")
	l.unharmed(t, "expressions and documents")
	l.stop()
}

// knowsItsOwn checks that the node still tells what is so.
func (v *victim) knowsItsOwn() {
	v.t.Helper()
	code, body := call(v.t, "GET", "http://"+v.Address("admin")+"/api/v1/overview", nil)
	var o struct {
		Services []struct {
			ID        string
			Instances []struct{ ID, State string }
		}
		Alerts []any
	}
	if code != 200 || json.Unmarshal([]byte(body), &o) != nil || len(o.Services) != 1 || len(o.Services[0].Instances) != 4 {
		v.t.Fatalf("the overview: %d %.300s", code, body)
	}
	in := 0
	for _, i := range o.Services[0].Instances {
		if i.State == "in" {
			in++
		}
	}
	if in < 3 { // messages may take out as many as may be ejected: one of four
		v.t.Errorf("%d of 4 instances take requests: %+v", in, o.Services[0].Instances)
	}
	if len(o.Alerts) > 1500 {
		v.t.Errorf("%d alerts are shown", len(o.Alerts))
	}
}

// Configuration files, and what they name.
func TestHostileFilesAreAnsweredInWords(t *testing.T) {
	dir := t.TempDir()
	for i, d := range documents() {
		file := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		if err := os.WriteFile(file, []byte(d), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"config", "validate", file}, {"kafka", "plan", "-f", file, "-b", "127.0.0.1:1"}} {
			ends(t, args...)
		}
	}
	key := filepath.Join(dir, "key.pem")
	for i, pem := range []string{"", "-----BEGIN CERTIFICATE-----\n" + big(5_000_000) + "\n-----END CERTIFICATE-----\n", "\x00\xff"} {
		cert := filepath.Join(dir, fmt.Sprintf("%d.pem", i))
		file := filepath.Join(dir, fmt.Sprintf("tls-%d.yaml", i))
		doc := fmt.Sprintf("console: {tls: {cert: %q, key: %q}}\n", cert, key)
		for name, text := range map[string]string{cert: pem, key: pem, file: doc} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ends(t, "run", "--roles", "console", "--config", file, "--data", filepath.Join(dir, "data"), "--kafka", "127.0.0.1:1", "--console", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	}
}

// ends runs a command that must end by itself and say in words what is wrong, if
// anything is.
func ends(t *testing.T, args ...string) {
	t.Helper()
	cmd := limited(args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	timer := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	text := string(out)
	if cmd.ProcessState.ExitCode() < 0 || cmd.ProcessState.ExitCode() > 3 || strings.Contains(text, "goroutine ") || strings.TrimSpace(text) == "" {
		t.Errorf("%v: %v\n%.400s", args, err, text)
	}
}
