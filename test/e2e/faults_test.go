package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// hostile are values that no topic's schema allows.
func hostile() map[string][]byte {
	wide := []byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"shop","instanceId":"i1","metrics":{"rps":1},"tags":{"a":"`)
	wide = append(append(wide, bytes.Repeat([]byte("x"), 10<<20-len(wide)-4)...), `"}}`...) // conforms, and is as large as allowed
	return map[string][]byte{
		"nothing":                 {},
		"half an object":          []byte(`{"timestamp":"2024-01-`),
		"not JSON":                []byte("\x00\x01\xff\xfe"),
		"another type":            []byte(`[{"serviceId":"shop"}]`),
		"null":                    []byte(`null`),
		"NaN":                     []byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"shop","instanceId":"i1","metrics":{"rps":NaN}}`),
		"more NaN":                []byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"shop","instanceId":"i1","metrics":{"rps":1,"p95Latency":-Infinity,"errorRate":nan}}`),
		"numbers beyond all":      []byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"shop","instanceId":"i1","metrics":{"rps":1e999}}`),
		"text for numbers":        []byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"shop","instanceId":"i1","metrics":{"rps":"150"},"status":7,"checkType":{}}`),
		"numbers for text":        []byte(`{"timestamp":1705314600,"serviceId":1,"instanceId":2,"metrics":{"rps":1},"kind":3,"node":4}`),
		"a negative rate":         []byte(`{"timestamp":"2024-01-15T10:30:00Z","serviceId":"shop","instanceId":"i1","metrics":{"rps":-5}}`),
		"objects 100,000 deep":    []byte(strings.Repeat(`{"a":`, 100_000)),
		"arrays a million deep":   []byte(`{"serviceId":` + strings.Repeat("[", 1_000_000)),
		"10 MB of brackets":       bytes.Repeat([]byte("["), 10<<20),
		"10 MB of a string":       append([]byte(`{"serviceId":"`), bytes.Repeat([]byte("s"), 10<<20-20)...),
		"10 MB that almost fits":  wide,
		"text that is not UTF-8":  []byte("{\"serviceId\":\"sh\xc3\x28op\",\"instanceId\":\"i1\"}"),
		"a revision of nothing":   []byte(`{"changeId":"x","timestamp":"2024-01-15T10:30:00Z","kind":"revision","revision":"9-x","document":""}`),
		"a weight without number": []byte(`{"changeId":"x","timestamp":"2024-01-15T10:30:00Z","kind":"override","override":{"serviceId":"shop","instanceId":"i1","action":"weight"}}`),
	}
}

// consume reads a topic from its beginning until enough says so.
func consume(t *testing.T, broker, topic string, enough func([]*kgo.Record) bool) []*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	var got []*kgo.Record
	for ctx.Err() == nil && !enough(got) {
		got = append(got, c.PollFetches(ctx).Records()...)
	}
	return got
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func TestHostileMessagesHurtNothing(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	ins := instances(t, 4)
	n := node(t, b.Address("broker"), document(t, "", ins...), t.TempDir())
	admin := n.Address("admin")
	l := startLoad(t, "http://"+n.Address("web")+"/", 4)
	eventually(t, "the file seeds the log", func() bool { return look(t, admin).Node.Config.Revision != "file" })
	revision := look(t, admin).Node.Config.Revision

	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address("broker")), kgo.ProducerBatchMaxBytes(11_534_336), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	for _, topic := range []string{"service-metrics", "health-status", "config-updates", "health-scores", "node-status", "alerts", "smartlb-rekey", "smartlb-node-status"} {
		for name, value := range hostile() {
			if topic == "node-status" || (len(value) > 1<<20 && (topic == "alerts" || strings.HasPrefix(topic, "smartlb-") || topic == "health-scores")) {
				continue // no such topic; the smaller topics refuse it themselves
			}
			if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
				t.Errorf("%s: %s: %v", topic, name, err)
			}
		}
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte("shop")}).FirstErr(); topic != "node-status" && err != nil {
			t.Errorf("%s: a tombstone: %v", topic, err)
		}
	}

	for i, latency := range [][]byte{{}, {0xff}, bytes.Repeat([]byte{0x0d}, 100), bytes.Repeat([]byte("sketch"), 100_000)} {
		for topic, body := range map[string]string{
			"service-metrics": `{"timestamp":%q,"serviceId":"shop","instanceId":"i3","metrics":{"rps":1}}`,
			"health-status":   `{"timestamp":%q,"serviceId":"shop","instanceId":"i3","status":"HEALTHY","checkType":"HTTP"}`,
		} {
			r := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, body, time.Now().UTC().Format(time.RFC3339)), Headers: []kgo.RecordHeader{
				{Key: "smartlb-latency", Value: latency}, {Key: "smartlb-reporter", Value: bytes.Repeat([]byte{0xff, byte(i)}, 500_000)}, {Key: "smartlb-reporter"},
			}}
			if i%2 == 0 {
				r.Headers = r.Headers[:2] // the last one of a name counts
			}
			if err := c.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Errorf("%s with hostile headers: %v", topic, err)
			}
		}
	}

	for _, topic := range []string{"service-metrics", "health-status"} {
		for _, r := range consume(t, b.Address("broker"), topic+".dlq", func(got []*kgo.Record) bool { return len(got) >= 16 }) {
			if header(r, "smartlb-source-topic") != topic || header(r, "smartlb-reason") == "" || header(r, "smartlb-source-offset") == "" || len(r.Value) > 64<<10 {
				t.Errorf("%s.dlq: %v, %d bytes", topic, r.Headers, len(r.Value))
			}
			if size, _ := strconv.Atoi(header(r, "smartlb-size")); size < len(r.Value) {
				t.Errorf("%s.dlq: a size of %d beside %d bytes", topic, size, len(r.Value))
			}
		}
		seen := map[string]bool{}
		for _, r := range consume(t, b.Address("broker"), topic+".dlq", func(got []*kgo.Record) bool { return len(got) >= 16 }) {
			seen[header(r, "smartlb-source-partition")+"/"+header(r, "smartlb-source-offset")] = true
		}
		if len(seen) < 16 {
			t.Errorf("%s.dlq has %d of the refused records", topic, len(seen))
		}
	}

	// What is valid and comes after them still acts.
	stop := make(chan struct{})
	var reporter sync.WaitGroup
	t.Cleanup(func() { close(stop); reporter.Wait() }) // before the broker ends
	reporter.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
			}
			produce(t, b.Address("broker"), "service-metrics", fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":"i1","metrics":{"rps":150.5,"cpuUsage":0.97}}`, time.Now().UTC().Format(time.RFC3339)))
		}
	})
	produce(t, b.Address("broker"), "health-status", fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":"i2","status":"DRAINING","checkType":"HTTP"}`, time.Now().UTC().Format(time.RFC3339)))
	eventually(t, "a valid health-status acts", func() bool { return state(look(t, admin), "i2") == "draining" })
	eventually(t, "valid metrics act", func() bool { return vetoed(t, admin, "i1") })
	if _, stderr, code := smartlb(t, "config", "apply", document2(t, ins...), "-b", b.Address("broker"), "--wait"); code != 0 {
		t.Errorf("a valid revision: %d %s", code, stderr)
	}
	if c := look(t, admin).Node.Config; c.Revision == revision || c.State != "applied" || c.LostLog {
		t.Errorf("%+v", c)
	}
	for _, p := range []*process{b, n} {
		if p.ended() || p.Said("panic") {
			t.Errorf("%v: ended %v", p.Cmd.Args, p.ended())
		}
	}
	if ok, bad, first := l.counts(); bad > 0 || ok < 100 {
		t.Errorf("%d requests answered, %d failed: %s", ok, bad, first)
	}
}

// document2 is a document that may be published over document's.
func document2(t *testing.T, ins ...*instance) string {
	t.Helper()
	return mustWrite(t, strings.Replace(mustRead(t, document(t, "", ins...)), "name: all", "name: other", 1))
}

// ended says whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

// metric reads the sum of a series from /metrics.
func metric(t *testing.T, admin, name string) (sum float64) {
	t.Helper()
	for _, line := range strings.Split(scrape(t, admin), "\n") {
		if series, value, ok := strings.Cut(line, " "); ok && (series == name || strings.HasPrefix(series, name+"{")) {
			v, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			sum += v
		}
	}
	return sum
}

// moody is a raw instance whose way to answer can be changed while it runs.
type moody struct {
	*upstreamtest.Raw
	mood atomic.Value
}

func newMoody(t *testing.T) *moody {
	m := &moody{}
	m.mood.Store("well")
	m.Raw = upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		for {
			if s.Request() == nil {
				return
			}
			switch m.mood.Load() {
			case "well":
				if !s.Write(upstreamtest.OK) {
					return
				}
			case "reset before the head":
				s.Reset()
				return
			case "reset mid-body":
				s.Write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe first bytes")
				s.Wait(50 * time.Millisecond)
				s.Reset()
				return
			case "garbage":
				s.Write("\x16\x03\x01\x02\x00 this is no HTTP \x00\xff\r\n\r\n")
				return
			case "half a head":
				s.Write("HTTP/1.1 200 OK\r\nContent-Le")
				return
			case "hang":
				s.Hang()
				return
			}
		}
	})
	return m
}

// lineProxy is `smartlb proxy` over instances.
func lineProxy(t *testing.T, to []string, args ...string) *process {
	return start(t, true, append([]string{"proxy", "--from", "127.0.0.1:0", "--to", strings.Join(to, ","), "--admin", "127.0.0.1:0", "--drain", "2s"}, args...)...)
}

func get(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestFaultsOfTheOnlyInstanceReachTheClientAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	m := newMoody(t)
	longTimeout := lineProxy(t, []string{m.Addr}, "--retries", "0", "--timeout", "1m", "--health-interval", "0")
	hasty := lineProxy(t, []string{m.Addr}, "--retries", "0", "--timeout", "1s", "--health-interval", "0")
	url := "http://" + longTimeout.Address("web") + "/"
	for _, c := range []struct {
		mood   string
		status int
	}{
		{"well", 200}, {"reset before the head", 502}, {"garbage", 502}, {"half a head", 502}, {"hang", 504}, {"reset mid-body", 200}, {"well", 200},
	} {
		m.mood.Store(c.mood)
		p := longTimeout
		if c.status == 504 {
			p = hasty
		}
		before := metric(t, p.Address("admin"), "smartlb_instance_errors_total")
		status, body, err := get(t, "http://"+p.Address("web")+"/")
		if status != c.status || (c.status >= 500 && body == "") {
			t.Errorf("%s: %d %q %v, want %d with a sentence", c.mood, status, body, err, c.status)
		}
		if (err != nil) != (c.mood == "reset mid-body") {
			t.Errorf("%s: the body ended with %v", c.mood, err)
		}
		if c.mood == "well" {
			continue
		}
		eventually(t, c.mood+" is counted", func() bool {
			return metric(t, p.Address("admin"), "smartlb_instance_errors_total") == before+1
		})
	}
	m.Raw.Close()
	if status, body, _ := get(t, url); status != 502 || body == "" {
		t.Errorf("an instance that is gone: %d %q", status, body)
	}
}

func TestASickInstanceIsEjectedAndComesBack(t *testing.T) {
	t.Parallel()
	for _, mood := range []string{"reset before the head", "garbage", "hang"} {
		t.Run(mood, func(t *testing.T) {
			t.Parallel()
			sick, well := newMoody(t), instances(t, 3)
			to := []string{sick.Addr}
			for _, in := range well {
				to = append(to, in.addr)
			}
			timeout := "1m"
			if mood == "hang" {
				timeout = "2s"
			}
			p := lineProxy(t, to, "--retries", "2", "--policy", "round_robin", "--timeout", timeout, "--health-interval", "0")
			l := startLoad(t, "http://"+p.Address("web")+"/", 6)
			eventually(t, "everybody is asked", func() bool { return sick.Connections() > 0 && well[2].count() > 10 })
			sick.mood.Store(mood)
			eventually(t, "it is ejected", func() bool { return state(look(t, p.Address("admin")), sick.Addr) == "ejected" })
			sick.mood.Store("well")
			eventually(t, "it comes back", func() bool { return state(look(t, p.Address("admin")), sick.Addr) == "in" })
			before := metric(t, p.Address("admin"), "smartlb_instance_requests_total")
			eventually(t, "requests go on", func() bool {
				return metric(t, p.Address("admin"), "smartlb_instance_requests_total") > before+50
			})
			l.stop()
			ok, bad, first := l.counts()
			if allowed := map[string]int{"hang": 60, "garbage": 20}[mood]; bad > allowed || ok < 100 { // who hangs eats the exchange's whole time, garbage may have been an answer: neither is tried again
				t.Errorf("%d answered, %d failed: %s", ok, bad, first)
			}
		})
	}
}

// A stopped process is the hardest to see: its kernel still accepts.
func TestAStoppedInstanceIsTakenOutByItsProbeAndReturns(t *testing.T) {
	t.Parallel()
	addr := porttest.Address(t)
	frozen := start(t, false, "demo", "service", "--service", "shop", "--instance", "i0", "--listen", addr, "--latency", "2ms", "--no-report")
	eventually(t, "the instance listens", func() bool { status, _, _ := get(t, "http://"+addr+"/health"); return status == 200 })
	well := instances(t, 3)
	p := lineProxy(t, []string{addr, well[0].addr, well[1].addr, well[2].addr}, "--health-path", "/health", "--health-interval", "200ms", "--timeout", "2s")
	l := startLoad(t, "http://"+p.Address("web")+"/", 6)
	admin := p.Address("admin")
	eventually(t, "it takes requests", func() bool {
		return metric(t, admin, "smartlb_instance_requests_total") > 50 && state(look(t, admin), addr) == "in"
	})
	stopped := time.Now()
	if err := frozen.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frozen.Cmd.Process.Signal(syscall.SIGCONT) }()
	eventually(t, "it is out", func() bool { s := state(look(t, admin), addr); return s == "unhealthy" || s == "ejected" })
	t.Logf("out of rotation after %s", since(stopped))
	eventually(t, "requests fail no more", func() bool {
		ok, bad, _ := l.counts()
		time.Sleep(2 * time.Second)
		more, still, _ := l.counts()
		return still == bad && more > ok // what hung when it stopped has come to its end
	})
	awake := time.Now()
	if err := frozen.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is in again", func() bool { return state(look(t, admin), addr) == "in" })
	t.Logf("in rotation again after %s", since(awake))
	l.stop()
	ok, bad, first := l.counts()
	if bad > 40 || ok < 200 {
		t.Errorf("%d answered, %d failed: %s", ok, bad, first)
	}
	t.Logf("%d requests, %d failed", ok+bad, bad)
}

func fds(t *testing.T, p *process) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// send writes bytes to an address and does what after says with the connection.
func send(addr, text string, after func(*net.TCPConn)) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text)
	after(conn.(*net.TCPConn))
}

func TestAStormOfFaultsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	sick, well := newMoody(t), instances(t, 2)
	p := lineProxy(t, []string{sick.Addr, well[0].addr, well[1].addr}, "--timeout", "1s", "--retries", "1", "--health-interval", "300ms")
	web, admin := p.Address("web"), p.Address("admin")
	warm := startLoad(t, "http://"+web+"/", 8)
	eventually(t, "it is warm", func() bool { ok, _, _ := warm.counts(); return ok > 200 })
	warm.stop()
	http.DefaultClient.CloseIdleConnections()
	var baseFDs, baseRoutines int
	eventually(t, "a quiet moment", func() bool {
		baseFDs, baseRoutines = fds(t, p), int(metric(t, admin, "go_goroutines"))
		time.Sleep(300 * time.Millisecond)
		return fds(t, p) <= baseFDs
	})
	accepted, idle := metric(t, admin, "smartlb_connections_accepted_total"), metric(t, admin, "smartlb_connections_open")

	leave := func(*net.TCPConn) {}
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }
	linger := func(_ *net.TCPConn) { time.Sleep(300 * time.Millisecond) }
	storms := []struct {
		text  string
		after func(*net.TCPConn)
	}{
		{"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nonly this", reset},
		{"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100_000), leave},
		{"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf a chunk", reset},
		{"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n", linger},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", reset},
		{"GET / HTTP/1.1\r\nHos", leave},
		{"\x16\x03\x01\x00\xa5 a TLS hello", linger},
		{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", linger},
		{"", reset},
		{"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 200), linger},
	}
	moods := []string{"well", "garbage", "reset mid-body", "hang", "half a head", "reset before the head"}
	for round := range 12 {
		sick.mood.Store(moods[round%len(moods)])
		done := make(chan struct{}, 8*len(storms))
		for range 8 {
			for _, s := range storms {
				go func() { send(web, s.text, s.after); done <- struct{}{} }()
			}
		}
		for range cap(done) {
			<-done
		}
	}
	sick.mood.Store("well")
	if n := metric(t, admin, "smartlb_connections_accepted_total") - accepted; n < 12*8*9 {
		t.Errorf("only %v connections of the storm arrived", n)
	}
	http.DefaultClient.CloseIdleConnections()
	slack := 4 + len(moods) // connections to instances that are kept open for the next request
	eventually(t, "descriptors and goroutines are back", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return fds(t, p) <= baseFDs+slack && int(metric(t, admin, "go_goroutines")) <= baseRoutines+slack
	})
	eventually(t, "no client connection is left of the storm", func() bool { return metric(t, admin, "smartlb_connections_open") <= idle })
	eventually(t, "nothing is in flight", func() bool { return metric(t, admin, "smartlb_instance_in_flight") == 0 })
	if p.Said("panic") || p.ended() {
		t.Error("the proxy ended")
	}
	if status, _, err := get(t, "http://"+web+"/"); status != 200 {
		t.Errorf("after the storm: %d %v", status, err)
	}
}

// unwritable gives a path in which nothing can be created, for root too.
func unwritable(t *testing.T) string {
	t.Helper()
	if os.Geteuid() == 0 {
		return "/proc/self/smartlb"
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func TestDataDirectoriesThatCannotBeUsedAreSaid(t *testing.T) {
	t.Parallel()
	file := document(t, "", instances(t, 1)...)
	damaged, newer := t.TempDir(), t.TempDir()
	for dir, text := range map[string]string{damaged: `{"format":1,"docu`, newer: `{"format":1000}`} {
		if err := os.WriteFile(filepath.Join(dir, "last-good-config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noDir := mustWrite(t, "a file")
	dir, nodeDir := t.TempDir(), t.TempDir()
	b := broker(t, dir, "127.0.0.1:0")
	n := node(t, b.Address("broker"), file, nodeDir)
	asBroker := []string{"run", "--roles", "broker", "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--data"}
	asNode := []string{"run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data"}
	for _, c := range []struct {
		why  string
		args []string
		dir  string
		says []string
	}{
		{"a broker's directory that another broker has", asBroker, dir, []string{dir, fmt.Sprint("process ", b.Cmd.Process.Pid)}},
		{"a node's directory that another node has", asNode, nodeDir, []string{nodeDir, fmt.Sprint("process ", n.Cmd.Process.Pid), "--data"}},
		{"a file", asBroker, noDir, []string{noDir}},
		{"a file", asNode, noDir, []string{noDir, "--data"}},
		{"nothing can be written", asBroker, unwritable(t), []string{"directory"}},
		{"nothing can be written", asNode, unwritable(t), []string{"--data"}},
		{"a damaged last good configuration", asNode, damaged, []string{"last-good-config.json", "damaged", "move it away"}},
		{"one of a newer program", asNode, newer, []string{"last-good-config.json", "newer"}},
	} {
		_, stderr, code := smartlb(t, append(c.args, c.dir)...)
		if code != 1 || strings.Contains(stderr, "goroutine") {
			t.Errorf("%s: exit code %d: %s", c.why, code, stderr)
		}
		for _, want := range c.says {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: %q is not in: %s", c.why, want, stderr)
			}
		}
	}
	if b.ended() || n.ended() {
		t.Error("who had the directory ended")
	}
}

func TestABrokerWithADamagedTailServesTheRest(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string){
		"garbage behind the last record": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 1000)); err != nil {
				t.Fatal(err)
			}
		},
		"half of the last record": func(t *testing.T, path string) {
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, st.Size()-5); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := broker(t, dir, "127.0.0.1:0")
			eventually(t, "the topics exist", func() bool {
				_, _, code := smartlb(t, "kafka", "topics", "describe", "alerts", "-b", b.Address("broker"))
				return code == 0
			})
			for i := range 5 {
				produce(t, b.Address("broker"), "alerts", fmt.Sprintf("record %d", i))
				time.Sleep(20 * time.Millisecond)
			}
			b.stop(syscall.SIGKILL)
			var newest string
			var when time.Time
			_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
				if err == nil && !info.IsDir() && strings.Contains(path, "alerts-") && info.Size() > 0 && info.ModTime().After(when) && !strings.HasSuffix(path, "json") {
					newest, when = path, info.ModTime()
				}
				return nil
			})
			if newest == "" {
				t.Fatal("no file of the topic")
			}
			damage(t, newest)
			again := broker(t, dir, "127.0.0.1:0")
			got := consume(t, again.Address("broker"), "alerts", func(got []*kgo.Record) bool { return len(got) >= 4 })
			for i, r := range got {
				if want := fmt.Sprintf("record %d", i); string(r.Value) != want {
					t.Errorf("offset %d is %q, want %q", i, r.Value, want)
				}
			}
			produce(t, again.Address("broker"), "alerts", "written after the damage")
			got = consume(t, again.Address("broker"), "alerts", func(got []*kgo.Record) bool {
				return len(got) > 0 && string(got[len(got)-1].Value) == "written after the damage"
			})
			if len(got) < 5 || string(got[len(got)-1].Value) != "written after the damage" {
				t.Errorf("%d records after the damage", len(got))
			}
			if again.ended() || again.Said("panic") {
				t.Error("the broker ended")
			}
		})
	}
}

func TestAKilledNodeServesItsLastGoodConfiguration(t *testing.T) {
	t.Parallel()
	b, dir, ins := broker(t, t.TempDir(), "127.0.0.1:0"), t.TempDir(), instances(t, 2)
	n := node(t, b.Address("broker"), document(t, "", ins[0]), dir)
	eventually(t, "the file seeds the log", func() bool { return look(t, n.Address("admin")).Node.Config.Revision != "file" })
	next := strings.Replace(mustRead(t, document(t, "", ins[1])), "prefix: /", "prefix: /new", 1)
	if _, stderr, code := smartlb(t, "config", "apply", mustWrite(t, next), "-b", b.Address("broker"), "--wait"); code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := smartlb(t, "drain", "i1", "--admin", n.Address("admin")); code != 0 {
		t.Fatal(stderr)
	}
	eventually(t, "the drain is seen", func() bool { return state(look(t, n.Address("admin")), "i1") == "draining" })
	if _, stderr, code := smartlb(t, "undrain", "i1", "--admin", n.Address("admin")); code != 0 {
		t.Fatal(stderr)
	}
	eventually(t, "and its end", func() bool { return state(look(t, n.Address("admin")), "i1") == "in" })
	revision := look(t, n.Address("admin")).Node.Config.Revision
	n.stop(syscall.SIGKILL)
	b.stop(syscall.SIGKILL)

	// Its file still says what was true at the first start.
	n = node(t, b.Address("broker"), document(t, "", ins[0]), dir)
	before := ins[1].count()
	if status, body, err := get(t, "http://"+n.Address("web")+"/new/x"); status != 200 {
		t.Errorf("%d %s %v", status, body, err)
	}
	if status, _, _ := get(t, "http://"+n.Address("web")+"/old"); status != 404 || ins[1].count() != before+1 {
		t.Errorf("the old routes: %d", status)
	}
	if c := look(t, n.Address("admin")).Node.Config; c.State != "lkg" || c.Revision != revision {
		t.Errorf("%+v, want the last good %s", c, revision)
	}
	if took := n.stop(syscall.SIGTERM); n.Said("did not stop") || n.Cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("the stop without a broker took %s: %v", took, n.Cmd.ProcessState)
	}
}

func TestAStopWaitsForRequestsAndASecondSignalForNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	finish := sync.OnceFunc(func() { close(release) })
	slow := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		for s.Request() != nil {
			<-release
			if !s.Write(upstreamtest.OK) {
				return
			}
		}
	})
	type answer struct {
		status int
		body   string
		err    error
	}
	begin := func(p *process) chan answer {
		out := make(chan answer, 1)
		go func() {
			status, body, err := get(t, "http://"+p.Address("web")+"/slow")
			out <- answer{status, body, err}
		}()
		eventually(t, "the request is under way", func() bool { return metric(t, p.Address("admin"), "smartlb_instance_in_flight") == 1 })
		return out
	}
	t.Cleanup(finish)
	never := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Hang() })
	p := lineProxy(t, []string{slow.Addr}, "--drain", "10m", "--timeout", "10m", "--health-interval", "0")
	under := begin(p)
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz says that it drains", func() bool {
		status, body, _ := get(t, "http://"+p.Address("admin")+"/readyz")
		return status == 503 && strings.Contains(body, "draining")
	})
	if status, _, _ := get(t, "http://"+p.Address("admin")+"/healthz"); status != 200 {
		t.Errorf("/healthz while draining: %d", status)
	}
	finish()
	if a := <-under; a.status != 200 || a.body != "ok" || a.err != nil {
		t.Errorf("the slow request: %+v", a)
	}
	select {
	case <-p.Done:
	case <-time.After(maxWait):
		t.Error("it does not end after its last request")
	}
	if code := p.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	p = lineProxy(t, []string{never.Addr}, "--drain", "10m", "--timeout", "10m", "--health-interval", "0")
	begin(p)
	_ = p.Cmd.Process.Signal(os.Interrupt)
	eventually(t, "it stops", func() bool { return p.Said(`"stopping"`) }) // of two signals at once a process hears one
	time.Sleep(200 * time.Millisecond)
	if p.ended() {
		t.Error("it did not wait for the request")
	}
	p.stop(os.Interrupt) // alone it would wait for ten minutes
	var status syscall.WaitStatus
	if ws, ok := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		status = ws
	}
	if p.Cmd.ProcessState.ExitCode() == 0 || (!status.Signaled() && p.Cmd.ProcessState.ExitCode() != 130) {
		t.Errorf("ended with %v", p.Cmd.ProcessState)
	}
}

// Closing a reader asks the broker to end its fetch session. One that hangs
// held up every part of the stop until somebody killed the node.
func TestANodeStopsThoughItsBrokerHangs(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	defer func() { _ = b.Cmd.Process.Signal(syscall.SIGCONT) }()
	n := node(t, b.Address("broker"), document(t, "", instances(t, 2)...), t.TempDir())
	eventually(t, "the file seeds the log", func() bool { return look(t, n.Address("admin")).Node.Config.Revision != "file" })
	eventually(t, "the analyzer works", func() bool { return n.Said("partition is live") })
	if err := b.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // everybody waits for an answer by now, or soon
	if status, _, err := get(t, "http://"+n.Address("web")+"/"); status != 200 {
		t.Errorf("requests while the broker hangs: %d %v", status, err)
	}
	took := n.stop(syscall.SIGTERM)
	if n.Said("did not stop") || n.Cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("after %s: %v", took, n.Cmd.ProcessState)
	}
}

func TestASecondCtrlCEndsTheDemoAtOnce(t *testing.T) {
	t.Parallel()
	p, _, _, _ := demo(t)
	kids := children(p.Cmd.Process.Pid)
	_ = p.Cmd.Process.Signal(os.Interrupt)
	eventually(t, "it stops", func() bool { return p.Said(`"stopping"`) }) // of two signals at once a process hears one
	p.stop(os.Interrupt)
	eventually(t, "all children end with their parent", func() bool { return alive(kids) == 0 })
}

// The disk may fail while a node serves; what it serves does not depend on it.
func TestANodeServesOnWithoutItsDataDirectory(t *testing.T) {
	t.Parallel()
	b, dir, ins := broker(t, t.TempDir(), "127.0.0.1:0"), filepath.Join(t.TempDir(), "node"), instances(t, 2)
	n := node(t, b.Address("broker"), document(t, "", ins...), dir)
	l := startLoad(t, "http://"+n.Address("web")+"/", 2)
	eventually(t, "the file seeds the log", func() bool { return look(t, n.Address("admin")).Node.Config.Revision != "file" })
	// Moved, not removed: the node may write a file into the directory while it is being emptied.
	if err := os.Rename(dir, filepath.Join(t.TempDir(), "gone")); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := smartlb(t, "config", "apply", document2(t, ins...), "-b", b.Address("broker"), "--wait"); code != 0 {
		t.Errorf("%d %s", code, stderr)
	}
	eventually(t, "it says so", func() bool { return n.Said("last good configuration not saved") })
	l.stop()
	if ok, bad, first := l.counts(); bad > 0 || ok == 0 || n.ended() {
		t.Errorf("%d answered, %d failed: %s", ok, bad, first)
	}
}

func TestOneOfTwoAnalyzersDiesAndScoresGoOn(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	ins := instances(t, 6)
	var doc strings.Builder
	doc.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes:\n")
	for i := range ins {
		fmt.Fprintf(&doc, "  - {name: r%d, path: {prefix: /s%d}, service: service-%d}\n", i, i, i)
	}
	doc.WriteString("services:\n")
	for i, in := range ins {
		fmt.Fprintf(&doc, "  - {id: service-%d, instances: [{id: i, address: %q}]}\n", i, in.addr)
	}
	p := start(t, true, "run", "--roles", "proxy", "--kafka", b.Address("broker"), "--config", mustWrite(t, doc.String()), "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--drain", "1s")
	for i := range ins {
		startLoad(t, fmt.Sprintf("http://%s/s%d", p.Address("web"), i), 1)
	}
	analyzer := func() *process {
		return start(t, true, "run", "--roles", "analyzer", "--kafka", b.Address("broker"), "--data", t.TempDir(), "--admin", "127.0.0.1:0")
	}
	one, two := analyzer(), analyzer()
	members := func() string {
		out, _, _ := smartlb(t, "kafka", "groups", "describe", "smartlb-analyzer", "-b", b.Address("broker"), "-o", "json")
		return out
	}
	eventually(t, "both are members", func() bool { return one.Said("partition is live") && two.Said("partition is live") })
	fresh := func(since time.Time) func([]*kgo.Record) bool {
		return func(got []*kgo.Record) bool {
			seen := map[string]bool{}
			for _, r := range got {
				if r.Timestamp.After(since) {
					seen[string(r.Key)] = true
				}
			}
			return len(seen) == len(ins)
		}
	}
	if got := consume(t, b.Address("broker"), "health-scores", fresh(time.Time{})); !fresh(time.Time{})(got) {
		t.Fatalf("scores of fewer than %d services\n%s", len(ins), members())
	}
	one.stop(syscall.SIGKILL)
	since := time.Now().Add(time.Second)
	if got := consume(t, b.Address("broker"), "health-scores", fresh(since)); !fresh(since)(got) {
		t.Errorf("after one was killed, scores of fewer than %d services\n%s", len(ins), members())
	}
	// seq of an instance never falls, whoever writes it.
	newest := map[string]uint64{}
	for _, r := range consume(t, b.Address("broker"), "health-scores", fresh(since)) {
		var score struct{ Seq uint64 }
		if err := json.Unmarshal(r.Value, &score); err != nil {
			t.Fatal(err)
		}
		if score.Seq < newest[string(r.Key)] {
			t.Errorf("%s: seq %d after %d", r.Key, score.Seq, newest[string(r.Key)])
		}
		newest[string(r.Key)] = score.Seq
	}
}

func TestCommandsThatCannotWorkSaySo(t *testing.T) {
	t.Parallel()
	nowhere := porttest.Refused(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"fly"}, 2, "no command"},
		{[]string{"run"}, 2, "--roles"},
		{[]string{"run", "--roles", "oracle"}, 2, "proxy"},
		{[]string{"run", "--roles", "proxy", "--config", "/does/not/exist"}, 1, "/does/not/exist"},
		{[]string{"run", "--roles", "proxy", "--config-source", "moon"}, 2, "kafka and file"},
		{[]string{"run", "--roles", "proxy", "--kafka", "nonsense"}, 2, "host:port"},
		{[]string{"run", "--roles", "proxy", "--explain-from", "here"}, 2, "CIDR"},
		{[]string{"run", "--roles", "proxy", "extra"}, 2, "extra"},
		{[]string{"proxy"}, 2, "--to"},
		{[]string{"proxy", "--to", "nonsense"}, 2, "host:port"},
		{[]string{"proxy", "--to", "127.0.0.1:1", "--retries", "99"}, 2, "3"},
		{[]string{"proxy", "--to", "127.0.0.1:1", "--decision-sample", "7"}, 2, "0 to 1"},
		{[]string{"proxy", "--to", "127.0.0.1:1", "--connect-timeout", "0s"}, 2, "--connect-timeout"},
		{[]string{"proxy", "--to", "127.0.0.1:1", "--drain", "-1s"}, 2, "--drain"},
		{[]string{"run", "--roles", "proxy", "--drain", "-1s"}, 2, "--drain"},
		{[]string{"up", "--demo", "--demo-ports", "70000"}, 2, "--demo-ports"},
		{[]string{"up", "--demo", "--demo-rate", "-1"}, 2, "--demo-rate"},
		{[]string{"config", "apply", "/dev/null", "-b", nowhere}, 1, "nothing to serve"},
		{[]string{"up", "--demo", "--config", "x"}, 2, "--config"},
		{[]string{"services", "--admin", nowhere}, 1, "--admin"},
		{[]string{"explain", "i1", "--admin", nowhere}, 1, "--admin"},
		{[]string{"explain"}, 2, "INSTANCE"},
		{[]string{"drain"}, 2, "INSTANCE"},
		{[]string{"config", "apply"}, 2, "FILE"},
		{[]string{"config", "apply", "/does/not/exist", "-b", nowhere, "--timeout", "1s"}, 1, "/does/not/exist"},
		{[]string{"config", "show", "-b", nowhere, "--timeout", "1s"}, 1, "nothing listens at"},
		{[]string{"config", "history", "-b", nowhere, "--timeout", "1s"}, 1, nowhere},
		{[]string{"config", "show", "-b", "nonsense"}, 2, "host:port"},
		{[]string{"kafka", "topics", "-b", nowhere, "--timeout", "1s"}, 1, nowhere},
		{[]string{"kafka", "produce", "alerts", "{}", "-b", nowhere, "--timeout", "1s"}, 1, nowhere},
		{[]string{"services", "-o", "xml"}, 2, "json"},
		{[]string{"services", "--log-level", "loud"}, 2, "debug"},
		{[]string{"config", "validate", "/does/not/exist"}, 1, "/does/not/exist"},
		{[]string{"demo", "break", "i1", "--admin", nowhere}, 1, "--admin"},
		{[]string{"demo", "service", "--listen", "300.1.1.1:0"}, 1, "--listen"},
	} {
		began := time.Now()
		_, stderr, code := smartlb(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) || strings.Contains(stderr, "goroutine ") {
			t.Errorf("%v: exit code %d, want %d and %q in: %s", c.args, code, c.code, c.says, stderr)
		}
		if took := time.Since(began); took > maxWait {
			t.Errorf("%v took %s", c.args, took)
		}
	}
}
