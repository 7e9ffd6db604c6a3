package collector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const testTimeout = 2 * time.Minute

func eventually(t *testing.T, what string, ok func() bool, failed ...func()) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			for _, f := range failed {
				f()
			}
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// topicLog keeps what collectors send.
type topicLog struct {
	mu  sync.Mutex
	got []kafka.Record
}

func (l *topicLog) Send(r kafka.Record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, r)
	return true
}

// of returns the messages about an instance.
func (l *topicLog) of(topic, instance string) (out []kafka.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.got {
		if r.Topic == topic && strings.Contains(string(r.Value), `"instanceId":"`+instance+`"`) {
			out = append(out, r)
		}
	}
	return out
}

func start(t *testing.T, cfg Config) (c *Collector, stop func()) {
	t.Helper()
	cfg.Wall, cfg.Log = time.Now, slog.New(slog.DiscardHandler)
	c = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

func serving(t *testing.T, h http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func scraped(interval time.Duration) *config.Scrape {
	return &config.Scrape{Path: "/metrics", Interval: interval, Timeout: interval, Metrics: config.ScrapeMetrics{Utilization: "busy / 4", Requests: "requests_total"}}
}

func instances(addresses ...string) (out []config.Instance) {
	for i, a := range addresses {
		out = append(out, config.Instance{ID: "i" + strconv.Itoa(i), Address: a})
	}
	return out
}

// Bad pages are counted and give no message, and one instance does not hold up another.
func TestHostileTargets(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	good := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || r.Header.Get("Accept") == "" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = io.WriteString(w, "busy 3\nrequests_total 7\n")
	})
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-end:
		}
	}
	bad := map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+good+"/metrics", http.StatusFound)
		},
		"page":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html></html>") },
		"number":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "busy many\n") },
		"no numbers": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "busy NaN\n") },
		"long line": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "busy{a=\""+strings.Repeat("x", 1<<17))
		},
		"hang": hang,
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "busy 3\n")
			w.(http.Flusher).Flush()
			hang(w, r)
		},
	}
	addresses, names := []string{good, "127.0.0.1:1"}, []string{"good", "refused"}
	for name, h := range bad {
		addresses, names = append(addresses, serving(t, h)), append(names, name)
	}
	t.Cleanup(func() { close(end) })
	log := &topicLog{}
	services := []config.Service{{ID: "s", LoadReports: &config.LoadReports{Scrape: scraped(200 * time.Millisecond)}, Instances: instances(addresses...)}, {ID: "other", Instances: instances(good)}}
	c, stop := start(t, Config{Node: "n", Sender: log, Services: func() []config.Service { return services }, Nodes: func() []string { return []string{"n"} }})
	eventually(t, "the good one and the bad ones are asked", func() bool {
		s := c.Stats()
		return len(log.of(event.TopicServiceMetrics, "i0")) >= 2 && s.Results[Scrape][Unreachable] >= 6 && s.Results[Scrape][Invalid] >= 12
	}, func() { t.Logf("%+v, %v", c.Stats(), names) })
	if asked := c.Stats().Asked; asked != [NumKinds]int64{int64(len(addresses)), 0} {
		t.Errorf("%v instances are asked, %d are configured", asked, len(addresses))
	}
	stop()
	for i := range addresses[1:] {
		if n := len(log.of(event.TopicServiceMetrics, fmt.Sprint("i", i+1))); n > 0 {
			t.Errorf("%d messages of %s", n, names[i+1])
		}
	}
	r := log.of(event.TopicServiceMetrics, "i0")[1]
	m, err := event.DecodeServiceMetrics(r.Value)
	if reporter, _ := r.Header(event.HeaderReporter); err != nil || string(reporter) != "collector/scrape" || string(r.Key) != "s" || m.Metrics != (event.Metrics{Utilization: event.Some(.75), RPS: event.Some(0)}) {
		t.Errorf("%s %s %s, %v", reporter, r.Key, r.Value, err)
	}
	if c.Stats().Asked[Scrape] != 0 {
		t.Error("asked after the end")
	}
}

// A change of an agent is published at once, an unchanged answer is not repeated at each question, and what the agent said
// holds while it is unreachable.
func TestAgentsAreAsked(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	answer, asked := "up 50%\n", 0
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 5)
			_ = conn.SetDeadline(time.Now().Add(testTimeout))
			_, _ = io.ReadFull(conn, buf)
			mu.Lock()
			if asked++; string(buf) == "shop\n" {
				_, _ = io.WriteString(conn, answer)
			}
			mu.Unlock()
			_ = conn.Close()
		}
	}()
	set := func(text string) { mu.Lock(); answer = text; mu.Unlock() }
	log := &topicLog{}
	agents := &config.AgentCheck{Port: ln.Addr().(*net.TCPAddr).Port, Interval: 10 * time.Millisecond, Timeout: testTimeout, Send: "shop\n"}
	services := []config.Service{{ID: "s", LoadReports: &config.LoadReports{AgentCheck: agents}, Instances: instances("127.0.0.1:1")}}
	c, _ := start(t, Config{Node: "n", Sender: log, Services: func() []config.Service { return services }, Nodes: func() []string { return []string{"n"} }})
	latest := func() event.HealthStatus {
		all := log.of(event.TopicHealthStatus, "i0")
		if len(all) == 0 {
			return event.HealthStatus{}
		}
		h, err := event.DecodeHealthStatus(all[len(all)-1].Value)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	eventually(t, "the first status", func() bool { h := latest(); return h.Status == event.StatusHealthy && h.Weight == event.Some(.5) })
	mu.Lock()
	before := asked
	mu.Unlock()
	eventually(t, "ten more questions", func() bool { mu.Lock(); defer mu.Unlock(); return asked >= before+10 })
	if n := len(log.of(event.TopicHealthStatus, "i0")); n > 3 { // repeated every 5 s, on a slow machine too
		t.Errorf("%d messages without a change", n)
	}
	set("maint #disk\n")
	eventually(t, "the change", func() bool {
		h := latest()
		return h.Status == event.StatusDraining && h.Details.ResponseBody == "maint 50% #disk"
	})
	set(strings.Repeat("x", 5000))
	eventually(t, "an answer without an end is refused", func() bool {
		return c.Stats().Results[AgentCheck][Unreachable]+c.Stats().Results[AgentCheck][Invalid] > 0
	})
	_ = ln.Close()
	<-served
	repeated := len(log.of(event.TopicHealthStatus, "i0"))
	eventually(t, "the status is repeated without an agent", func() bool { return len(log.of(event.TopicHealthStatus, "i0")) > repeated })
	if h := latest(); h.Status != event.StatusDraining {
		t.Errorf("without the agent: %+v", h)
	}
}

// Three nodes share the instances: each has one node that asks it. When a node dies, the others take over.
func TestNodesShareTheInstances(t *testing.T) {
	t.Parallel()
	k := kafkatest.New(t, event.TopicNodeStatus, event.TopicConfigUpdates)
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{k.Addr()}, 5*time.Millisecond
	quiet := slog.New(slog.DiscardHandler)
	address := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "busy 1\n") })
	services := []config.Service{{ID: "s", LoadReports: &config.LoadReports{Scrape: scraped(50 * time.Millisecond)}}}
	for i := range 30 {
		services[0].Instances = append(services[0].Instances, config.Instance{ID: fmt.Sprintf("i%02d", i), Address: address})
	}
	logs, collectors, stops := map[string]*topicLog{}, map[string]*Collector{}, map[string]func(){}
	for _, node := range []string{"a", "b", "c"} {
		fleet, err := NewFleet(cfg, node, nodes.NewWatchOf(cfg, 3*time.Second), quiet)
		if err != nil {
			t.Fatal(err)
		}
		p, err := kafka.NewProducer(cfg, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() { _ = fleet.Run(ctx, nil) })
		all.Go(func() { // its status
			for {
				s := event.NodeStatus{Timestamp: time.Now().UTC(), Node: node, Roles: []string{event.RoleCollector}}
				p.Send(kafka.Record{Topic: event.TopicNodeStatus, Key: []byte(node), Value: s.AppendJSON(nil)})
				select {
				case <-ctx.Done():
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
		logs[node] = &topicLog{}
		c, stop := start(t, Config{Node: node, Sender: logs[node], Services: func() []config.Service { return services }, Nodes: fleet.Nodes})
		collectors[node] = c
		stops[node] = sync.OnceFunc(func() {
			stop()
			cancel()
			all.Wait()
			closing, end := context.WithTimeout(context.Background(), time.Second)
			defer end()
			_ = p.Close(closing)
		})
		t.Cleanup(stops[node])
	}
	asked := func(nodes ...string) (n int64) {
		for _, node := range nodes {
			own := collectors[node].Stats().Asked[Scrape]
			if own == 0 {
				return -1
			}
			n += own
		}
		return n
	}
	eventually(t, "each instance has one node", func() bool { return asked("a", "b", "c") == 30 })
	stops["b"]()
	eventually(t, "the other nodes take over", func() bool { return asked("a", "c") == 30 })
	for _, in := range services[0].Instances {
		eventually(t, "messages of "+in.ID, func() bool {
			return len(logs["a"].of(event.TopicServiceMetrics, in.ID))+len(logs["c"].of(event.TopicServiceMetrics, in.ID)) > 0
		})
	}
}

// A node whose own status no longer comes back keeps the nodes that it knew.
func TestWithoutKafkaTheNodesBeforeCount(t *testing.T) {
	watch := nodes.NewWatchOf(kafka.Default(), time.Hour)
	f := &Fleet{node: "a", watch: watch}
	if f.Nodes() != nil {
		t.Error("nodes before the topic was read")
	}
	f.caughtUp.Store(true)
	status := func(node string) kafka.Record {
		s := event.NodeStatus{Timestamp: time.Now().UTC(), Node: node, Roles: []string{event.RoleCollector}}
		return kafka.Record{Topic: event.TopicNodeStatus, Value: s.AppendJSON(nil)}
	}
	watch.Take([]kafka.Record{status("b")})
	if got := f.Nodes(); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("before its own status: %v", got)
	}
	watch.Take([]kafka.Record{status("a")})
	if got := f.Nodes(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("with its own status: %v", got)
	}
	f.watch = nodes.NewWatch(kafka.Default()) // nothing is alive any more
	if got := f.Nodes(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("without Kafka: %v", got)
	}
}

// An instance that begins anew has counters that fell: that is no fault of its page.
func TestAnInstanceThatBeginsAnewIsNoFault(t *testing.T) {
	t.Parallel()
	asked := 0
	address := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++ // one question at a time
		_, _ = fmt.Fprintf(w, "requests_total %d\n", 100-asked)
	})
	log := &topicLog{}
	services := []config.Service{{ID: "s", LoadReports: &config.LoadReports{Scrape: scraped(20 * time.Millisecond)}, Instances: instances(address)}}
	services[0].LoadReports.Scrape.Timeout = testTimeout
	c, _ := start(t, Config{Node: "n", Sender: log, Services: func() []config.Service { return services }, Nodes: func() []string { return []string{"n"} }})
	eventually(t, "five pages", func() bool { return c.Stats().Results[Scrape][Published] >= 5 })
	if r := c.Stats().Results[Scrape]; r[Invalid]+r[Unreachable] > 0 || len(log.of(event.TopicServiceMetrics, "i0")) > 0 {
		t.Errorf("%v", r)
	}
}
