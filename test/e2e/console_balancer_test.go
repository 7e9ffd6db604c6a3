package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// thousands writes a configuration of 100 services with an instance at each of
// the addresses: what the node keeps and shows of them is the same as if each
// had its own.
func thousands(t *testing.T, ins []*instance) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes:\n")
	for s := range 100 {
		fmt.Fprintf(&b, "  - {name: r%d, path: {prefix: /%d/}, service: s%d}\n", s, s, s)
	}
	b.WriteString("services:\n")
	for s := range 100 {
		fmt.Fprintf(&b, "  - id: s%d\n    instances:\n", s)
		for i, in := range ins {
			fmt.Fprintf(&b, "      - {id: s%d-i%d, address: %q}\n", s, i, in.addr)
		}
	}
	path := filepath.Join(t.TempDir(), "thousands.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Five thousand instances in a hundred services: one stream, few rows in the
// page, and everything can be found. SCALE_RATE sends so many requests a second
// meanwhile (bench/results has figures), and SCALE_BUILDS (name=FOLDER,name=FOLDER)
// compares how built pages scroll.
func TestOverviewOfFiveThousandInstances(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	b := start(t, true, "run", "--roles", "broker", "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--data", t.TempDir(), "--admin", "127.0.0.1:0")
	p := start(t, true, "run", "--roles", "proxy,console", "--kafka", b.Address("broker"), "--config", thousands(t, instances(t, 50)), "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--console", "127.0.0.1:0")
	rate := 100
	if text := os.Getenv("SCALE_RATE"); text != "" {
		rate, _ = strconv.Atoi(text)
	}
	stop := spread(p.Address("web"), rate)
	defer stop()
	time.Sleep(3 * time.Second)
	if builds := os.Getenv("SCALE_BUILDS"); builds != "" {
		inBrowser(t, "scroll", "http://"+p.Address("console"), "BUILDS="+builds)
		return
	}
	began, cpu := time.Now(), cpuOf(t, p.Cmd.Process.Pid)
	time.Sleep(5 * time.Second)
	alone := (cpuOf(t, p.Cmd.Process.Pid) - cpu) / time.Since(began).Seconds()
	began, cpu = time.Now(), cpuOf(t, p.Cmd.Process.Pid)
	inBrowser(t, "scale", "http://"+p.Address("console"))
	t.Logf("cpu of the node: %.3f of a core without a page, %.3f with one; %d requests a second", alone, (cpuOf(t, p.Cmd.Process.Pid)-cpu)/time.Since(began).Seconds(), rate)
}

// spread sends requests to all services in turn.
func spread(addr string, rate int) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	const workers = 8
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: 5 * time.Second}
	for w := range workers {
		all.Go(func() {
			tick := time.NewTicker(time.Second * workers / time.Duration(rate))
			defer tick.Stop()
			for n := w; ; n += workers {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				if resp, err := client.Get(fmt.Sprintf("http://%s/%d/x", addr, n%100)); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	return func() { close(done); all.Wait(); client.CloseIdleConnections() }
}

// cpuOf gives the processor time that a process has used, in seconds.
func cpuOf(t *testing.T, pid int) float64 {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// brokerOf finds the broker among the processes of an up.
func brokerOf(t *testing.T, up int) string {
	t.Helper()
	for _, pid := range children(up) {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(b), "--roles\x00broker") {
			return fmt.Sprint(pid)
		}
	}
	t.Fatal("the demo has no broker")
	return ""
}

// produceHostileDecision writes a decision that nobody means well with.
func produceHostileDecision(t *testing.T, broker string) {
	t.Helper()
	const id = `<img src=x onerror=alert(1)>\"\u202e`
	_, stderr, code := smartlb(t, "kafka", "produce", "routing-decisions", "-b", broker,
		`{"timestamp":"`+time.Now().UTC().Format(time.RFC3339)+`","node":"<b>n</b>","kind":"decision","serviceId":"<script>","requestId":"`+id+`","instanceId":"a","candidates":[{"instanceId":"<b>a</b>","cost":1}],"outcome":{"status":200}}`)
	if code != 0 {
		t.Fatal(stderr)
	}
}

// produceHostileAlert writes an alert and an audit record that nobody means well
// with.
func produceHostileAlert(t *testing.T, broker string) {
	t.Helper()
	now := time.Now().UTC().Format(time.RFC3339)
	labels := map[string]string{"<b>k": `"><script>`, "service": "../../x", "instance": "\u202ei"}
	fingerprint := rule.Fingerprint("<img src=x onerror=alert(1)>", labels) // another one is not believed
	for topic, value := range map[string]string{
		"alerts": `{"fingerprint":"` + fingerprint + `","alertId":"<b>f/1","ruleId":"<img src=x onerror=alert(1)>","status":"pending","severity":"warning","labels":{"<b>k":"\"><script>","service":"../../x","instance":"\u202ei"},
			"annotations":{"summary":"<img src=x onerror=alert(1)>"},"startsAt":"` + now + `","updatedAt":"` + now + `","seq":1}`,
		"audit-logs": `{"auditId":"x","timestamp":"` + now + `","node":"<b>n","seq":1,"actor":{"type":"user","id":"<script>evil</script>"},"action":"<b>do.it</b>","result":"success","before":{"<b>":"</script>"},"after":"\u202e<img>"}`,
	} {
		if _, stderr, code := smartlb(t, "kafka", "produce", topic, "-b", broker, strings.ReplaceAll(value, "\n", " ")); code != 0 {
			t.Fatal(stderr)
		}
	}
}

// The live stream of decisions, one request in words, and a broker that hangs
// while the page is open. The console of the demo is a process without the proxy role: it asks a proxy, and reads Kafka. One decision comes from somebody hostile.
func TestDecisionsInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	p, _, admin, broker := demo(t)
	produceHostileDecision(t, broker)
	inBrowser(t, "decisions", consoleOf(t, admin), "BROKER_PID="+brokerOf(t, p.Cmd.Process.Pid))
}

// A configuration is edited, compared and rolled back, and somebody else is
// first.
func TestConfigurationInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, _ := demo(t)
	inBrowser(t, "configuration", consoleOf(t, admin))
}

// The demo is broken from its page, the alert fires, is silenced and resolved,
// all of it is audited, and the broker dies in between.
func TestAlertsAndAuditInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	p, _, admin, broker := demo(t)
	produceHostileAlert(t, broker)
	inBrowser(t, "alerts", consoleOf(t, admin), "BROKER_PID="+brokerOf(t, p.Cmd.Process.Pid))
}

// The balancer's pages in a console of its own, while the broker that it reads
// from dies, comes back, hangs and goes on. The proxy keeps routing meanwhile.
func TestConsoleOfItsOwnWithoutItsBroker(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	broker, addr := brokerInHands(t)
	file := document(t, "", instances(t, 3)...)
	if err := appendTo(file, "telemetry: {decisionSample: 1}\n"); err != nil {
		t.Fatal(err)
	}
	n := node(t, addr, file, t.TempDir())
	startLoad(t, "http://"+n.Address("web")+"/", 1)
	console := start(t, true, "run", "--roles", "console", "--kafka", addr, "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--console", "127.0.0.1:0")
	url := "http://" + console.Address("console")
	eventually(t, "a decision is there", func() bool {
		var all []struct{ RequestID string }
		return getJSON(t, url+"/api/v1/decisions?last=1", &all) == nil && len(all) == 1
	})
	hands := httptest.NewServer(broker)
	t.Cleanup(hands.Close)
	t.Cleanup(func() { broker.signal(syscall.SIGCONT) }) // one that hangs could not be stopped
	inBrowser(t, "outage", url, "BROKER_CONTROL="+hands.URL)
}

func appendTo(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, text...), 0o600)
}
