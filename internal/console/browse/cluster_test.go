package browse

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/doctor"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func TestBrokersHaveTheLatencyThatWasMeasured(t *testing.T) {
	c := kafkatest.New(t, "orders:3")
	b := look(t, c, "")
	b.cfg.Version = "v9"
	now := time.Now()
	for n := range 3 {
		if err := b.sampleBrokers(t.Context(), now.Add(time.Duration(n-2)*Step)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Cluster(t.Context())
	if err != nil || len(got.Brokers) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	x := got.Brokers[0]
	if l := x.Latency; l.LastMs == nil || l.P50Ms == nil || l.P99Ms == nil || *l.P50Ms <= 0 || *l.P50Ms > *l.P99Ms {
		t.Errorf("latency %+v", x.Latency)
	}
	if !x.Embedded || x.Version != "v9" || got.Version != "v9" {
		t.Errorf("the version of an embedded broker is guessed: %q, %q", x.Version, got.Version)
	}
	if len(x.Dirs) != 1 || x.Dirs[0].Free != -1 || x.Leaders != 3 || len(got.Troubled) != 0 || got.ZooKeeper != nil || got.Connect != nil {
		t.Errorf("%+v", got)
	}
	h, err := b.BrokerHistory(t.Context(), x.ID)
	if err != nil || len(h.Latency.Points) != 3 {
		t.Errorf("%+v %v", h, err)
	}
	if h, err := b.BrokerHistory(t.Context(), 77); err != nil || len(h.Latency.Points) != 0 {
		t.Errorf("history of a broker that is not there: %+v %v", h, err)
	}
}

func TestQuantilesOfFewValues(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{3}, .5, 3}, {[]float64{3}, .99, 3}, {[]float64{1, 2}, .5, 1}, {[]float64{1, 2, 3}, .5, 2}, {[]float64{1, 2, 3}, .99, 3},
	} {
		if got := quantile(c.values, c.q); got == nil || *got != c.want {
			t.Errorf("%v of %v: %v", c.q, c.values, got)
		}
	}
	if quantile(nil, .5) != nil {
		t.Error("a quantile of nothing")
	}
}

// A service that nobody started here and that does not answer is not told of;
// one that was started is, with what is wrong.
func TestServicesBesideTheClusterAreToldWhereThereIsSomethingToTell(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	zk := porttest.Serve(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4))
		_, _ = c.Write([]byte("Zookeeper version: 3.8.4-abc, built on some day\nMode: standalone\n"))
	})
	for _, c := range []struct {
		what     string
		local    Local
		embedded bool
		zk, conn bool
	}{
		{"nobody said anything", Local{Addresses: stack.Addresses{Zookeeper: dead.Addr().String(), Connect: dead.Addr().String()}}, false, false, false},
		{"started here and dead", Local{Addresses: stack.Addresses{Zookeeper: dead.Addr().String(), Connect: dead.Addr().String()}, Started: true}, false, true, true},
		{"it answers", Local{Addresses: stack.Addresses{Zookeeper: zk}}, false, true, false},
		{"an embedded broker has none", Local{Addresses: stack.Addresses{Zookeeper: zk}}, true, false, false},
	} {
		b, err := New(Config{Local: func() Local { return c.local }})
		if err != nil {
			t.Fatal(err)
		}
		got := b.queryOthers(t.Context(), c.embedded)
		if (got[0] != nil) != c.zk || (got[1] != nil) != c.conn {
			t.Errorf("%s: %+v %+v", c.what, got[0], got[1])
			continue
		}
		if z := got[0]; z != nil && z.Address == zk && (z.Mode != "standalone" || z.Version != "3.8.4" || z.LatencyMs == nil || z.Problem != "") {
			t.Errorf("%s: %+v", c.what, z)
		}
		if z := got[0]; z != nil && z.Address != zk && (z.Problem == "" || z.LatencyMs != nil) {
			t.Errorf("%s: %+v", c.what, z)
		}
	}
}

func TestHealthIsWhatDoctorFinds(t *testing.T) {
	c := kafkatest.New(t, "orders:3")
	b := look(t, c, "")
	asked := 0
	b.cfg.Question = func() doctor.Question {
		asked++
		return doctor.Question{Kafka: b.cfg.Kafka, Origin: "the test", Catalog: b.Catalog()}
	}
	health := func(fresh bool) Health {
		t.Helper()
		h, err := b.Health(context.WithoutCancel(t.Context()), fresh)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := health(false)
	if !h.Healthy || !slices.ContainsFunc(h.Checks, func(c doctor.Check) bool { return c.ID == "topic-missing" && c.Fix != "" }) {
		t.Errorf("%+v", h)
	}
	if health(false); asked != 1 {
		t.Errorf("asked %d times for two pages", asked)
	}
	c.Stop()
	b.health.forget()
	if h := health(true); h.Healthy || h.Checks[0].Status != doctor.Problem || h.Checks[0].Cause == "" {
		t.Errorf("without a broker: %+v", h)
	}
}
