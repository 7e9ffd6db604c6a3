package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

type overview struct {
	Node struct {
		Config struct {
			State, Revision string
			LostLog         bool
		}
		Kafka struct{ Connected bool }
		Drops map[string]uint64
	}
	Alerts   []struct{ RuleID, Status string }
	Services []struct {
		ID        string
		Instances []struct {
			ID, State string
			Requests  uint64
			Cost      struct{ Veto float64 }
			Facts     *struct{ Utilization *float64 }
		}
	}
}

func look(t *testing.T, admin string) (o overview) {
	t.Helper()
	if err := getJSON(t, "http://"+admin+"/api/v1/overview", &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func state(o overview, instance string) string {
	for _, s := range o.Services {
		for _, i := range s.Instances {
			if i.ID == instance {
				return i.State
			}
		}
	}
	return "unknown"
}

// produce sends a value without a key, as a program that knows nothing of
// smartlb would.
func produce(t *testing.T, broker, topic, value string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func broker(t *testing.T, dir, addr string) *process {
	return start(t, true, "run", "--roles", "broker", "--data", dir, "--broker-listen", addr, "--broker-internal", "")
}

// node starts proxy and analyzer against a broker.
func node(t *testing.T, brokerAddr, file, dir string) *process {
	return start(t, true, "run", "--roles", "proxy,analyzer", "--kafka", brokerAddr, "--config", file, "--data", dir, "--admin", "127.0.0.1:0", "--drain", "2s")
}

func TestForeignMessagesSteerRouting(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	ins := instances(t, 4) // of four, messages without a signature take out one at most
	n := node(t, b.Address("broker"), document(t, "", ins...), t.TempDir())
	admin := n.Address("admin")
	startLoad(t, "http://"+n.Address("web")+"/", 8)
	stop := make(chan struct{})
	var reporter sync.WaitGroup
	t.Cleanup(func() { close(stop); reporter.Wait() }) // before the broker ends
	reporter.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
			at := time.Now().UTC().Format(time.RFC3339)
			produce(t, b.Address("broker"), "service-metrics", fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":"i1","metrics":{"rps":150.5,"p95Latency":45.2,"errorRate":0.02,"activeConnections":25,"cpuUsage":0.97,"memoryUsage":0.42},"tags":{"environment":"production"}}`, at))
		}
	})
	count := func() []float64 {
		before := make([]int, len(ins))
		for i, in := range ins {
			before[i] = in.count()
		}
		time.Sleep(2 * time.Second)
		shares, total := make([]float64, len(ins)), 0.0
		for i, in := range ins {
			shares[i] = float64(in.count() - before[i])
			total += shares[i]
		}
		for i := range shares {
			shares[i] /= max(total, 1)
		}
		return shares
	}
	eventually(t, "a reported cpuUsage of .97 halves the weight", func() bool { return vetoed(t, admin, "i1") })
	eventually(t, "and its share falls by 30 %", func() bool {
		s := count()
		return s[0] < .7*(s[1]+s[2]+s[3])/3
	})

	say := func(instance, status string) {
		produce(t, b.Address("broker"), "health-status", fmt.Sprintf(`{"timestamp":%q,"serviceId":"shop","instanceId":%q,"status":%q,"responseTime":25.4,"checkType":"HTTP","details":{"statusCode":200,"responseBody":"OK"}}`, time.Now().UTC().Format(time.RFC3339), instance, status))
	}
	say("i2", "DRAINING")
	eventually(t, "DRAINING drains", func() bool { return state(look(t, admin), "i2") == "draining" })
	for _, i := range []string{"i1", "i3", "i4"} {
		say(i, "DRAINING")
	}
	eventually(t, "more drains than messages may have raise an alert", func() bool {
		for _, a := range look(t, admin).Alerts {
			if a.RuleID == "mass-drain" && a.Status == "firing" {
				return true
			}
		}
		return false
	})
	for _, i := range []string{"i1", "i3", "i4"} {
		if got := state(look(t, admin), i); got != "in" {
			t.Errorf("%s is %s: messages took out more than may be ejected", i, got)
		}
		say(i, "HEALTHY")
	}
	eventually(t, "the drained instance gets nothing", func() bool {
		s := count()
		return s[0] > 0 && s[1] == 0 // what was under way has come to its end
	})
	say("i2", "HEALTHY")
	eventually(t, "HEALTHY ends the drain", func() bool { return state(look(t, admin), "i2") == "in" })
	say("i3", "UNHEALTHY")
	eventually(t, "UNHEALTHY takes out where no probe passes", func() bool { return state(look(t, admin), "i3") == "reported-unhealthy" })
}

func TestBrokerDiesReturnsAndReturnsEmpty(t *testing.T) {
	t.Parallel()
	addr, dir := porttest.Address(t), t.TempDir()
	b := broker(t, dir, addr)
	file := document(t, "    healthCheck: {interval: 200ms}\n", instances(t, 3)...)
	n := node(t, addr, file, t.TempDir())
	admin := n.Address("admin")
	l := startLoad(t, "http://"+n.Address("web")+"/", 4)
	eventually(t, "the file seeds the log", func() bool { return look(t, admin).Node.Config.Revision != "file" })
	revision := look(t, admin).Node.Config.Revision

	b.stop(syscall.SIGKILL)
	eventually(t, "the node notices", func() bool { return !look(t, admin).Node.Kafka.Connected })
	time.Sleep(3 * time.Second)
	before, _, _ := l.counts()
	eventually(t, "requests are answered without the broker", func() bool { ok, _, _ := l.counts(); return ok > before+100 })
	if _, bad, first := l.counts(); bad > 0 {
		t.Fatalf("without the broker %d requests failed: %s", bad, first)
	}

	b = broker(t, dir, addr)
	eventually(t, "the node is connected again", func() bool { return look(t, admin).Node.Kafka.Connected })
	telemetryResumes(t, addr)
	if c := look(t, admin).Node.Config; c.Revision != revision || c.LostLog {
		t.Errorf("after the return: %+v", c)
	}

	b.stop(syscall.SIGKILL)
	broker(t, t.TempDir(), addr) // the same address, without its data
	eventually(t, "the node sees that the log is another one", func() bool { return look(t, admin).Node.Config.LostLog })
	telemetryResumes(t, addr)
	if c := look(t, admin).Node.Config; c.Revision != revision {
		t.Errorf("the configuration did not stay: %+v", c)
	}
	traffic := strings.Replace(mustRead(t, file), "name: all", "name: adopted", 1)
	if _, stderr, code := smartlb(t, "config", "apply", mustWrite(t, traffic), "--adopt", "-b", addr, "--wait"); code != 0 {
		t.Fatalf("adopt: %d %s", code, stderr)
	}
	if c := look(t, admin).Node.Config; c.LostLog || c.Revision == revision || c.State != "applied" {
		t.Errorf("after adopt: %+v", c)
	}
	if _, bad, first := l.counts(); bad > 0 {
		t.Errorf("%d requests failed: %s", bad, first)
	}
}

// telemetryResumes waits for a new metrics message and a new health-score.
func telemetryResumes(t *testing.T, broker string) {
	t.Helper()
	for _, topic := range []string{"service-metrics", "health-scores"} {
		c, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(time.Now().UnixMilli())))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		fetches := kgo.Fetches{}
		for ctx.Err() == nil && fetches.NumRecords() == 0 {
			fetches = c.PollFetches(ctx)
		}
		if fetches.NumRecords() == 0 {
			t.Fatalf("%s does not resume", topic)
		}
		cancel()
		c.Close()
	}
}

func TestProxyServesBeforeItsBroker(t *testing.T) {
	t.Parallel()
	addr := porttest.Address(t)
	n := node(t, addr, document(t, "", instances(t, 2)...), t.TempDir())
	resp, err := http.Get("http://" + n.Address("web") + "/")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	if resp, err := http.Get("http://" + n.Address("admin") + "/readyz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("readyz without Kafka: %v %v", resp, err)
	}
	broker(t, t.TempDir(), addr)
	eventually(t, "it finds the broker that came later", func() bool {
		o := look(t, n.Address("admin"))
		return o.Node.Kafka.Connected && o.Node.Config.Revision != "file"
	})
}

// vetoed reports whether what an instance reports about itself takes away about half of its weight.
func vetoed(t *testing.T, admin, id string) bool {
	t.Helper()
	for _, s := range look(t, admin).Services {
		for _, i := range s.Instances {
			if i.ID == id {
				return i.Cost.Veto < .6
			}
		}
	}
	return false
}
