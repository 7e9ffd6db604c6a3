package kafka_test

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/smartlb/smartlb/internal/event"
	client "github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/telemetry/window"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
	"github.com/smartlb/smartlb/report"
	"github.com/smartlb/smartlb/report/kafka"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func closing(t *testing.T, p *kafka.Publisher) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
}

func sample(at time.Time) *report.Report {
	u := 0.5
	return &report.Report{
		Time: at, ServiceID: "user-service", InstanceID: "user-service-1", Span: time.Second, Requests: 100, Errors: 5, Active: 3,
		Latencies: []report.Bucket{{Ms: 10, Count: 90}, {Ms: 80, Count: 5}}, Utilization: &u, Tags: map[string]string{"region": "us-east-1"},
	}
}

func TestReportsArriveAsTheSeedsMessageWithTheirLatencies(t *testing.T) {
	c := kafkatest.New(t, event.TopicServiceMetrics+":3")
	p, err := kafka.NewPublisher(kafka.Config{Brokers: []string{c.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, p)
	at := time.Now()
	p.Publish(sample(at))

	cfg := client.Default()
	cfg.Brokers = []string{c.Addr()}
	tail, err := client.NewTail(cfg, client.TailConfig{Topics: []string{event.TopicServiceMetrics}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var got client.Record
	_ = tail.Run(ctx, func(batch []client.Record) {
		if len(batch) > 0 {
			got = batch[0]
			cancel()
		}
	})
	m, err := event.DecodeServiceMetrics(got.Value)
	if err != nil {
		t.Fatalf("%v: %s", err, got.Value)
	}
	want := event.Metrics{RPS: event.Some(100), ErrorRate: event.Some(0.05), P95Latency: event.Some(10), ActiveConnections: event.Some(3), Utilization: event.Some(0.5)}
	if m.Metrics != want || !m.Timestamp.Equal(at.Truncate(time.Millisecond)) || string(got.Key) != "user-service" || m.Tags["region"] != "us-east-1" {
		t.Errorf("key %s, message %+v", got.Key, m)
	}
	if _, ok := got.Header(event.HeaderReporter); ok {
		t.Error("a reporter header: the instance itself has none")
	}
	sketch, _ := got.Header(event.HeaderLatency)
	if err := window.CheckSketch(sketch); err != nil {
		t.Fatal(err)
	}
	k := window.NewSketch()
	if err := k.Merge(sketch); err != nil {
		t.Fatal(err)
	}
	if p99, _ := k.Quantile(0.99); k.Count() != 95 || math.Abs(p99-80) > 0.8 {
		t.Errorf("sketch of %v latencies with p99 %v", k.Count(), p99)
	}
}

// A signature of the instances of a service is valid for their messages on both topics.
func TestMessagesAreSigned(t *testing.T) {
	c := kafkatest.New(t, event.TopicServiceMetrics+":1", event.TopicHealthStatus+":1")
	secret := strings.Repeat("s", 32)
	p, err := kafka.NewPublisher(kafka.Config{Brokers: []string{c.Addr()}, SigningKey: kafka.SigningKey{ID: "users-team", Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, p)
	p.Publish(sample(time.Now()))
	p.Announce(report.Announcement{Time: time.Now(), ServiceID: "user-service", InstanceID: "user-service-1", Stops: true})
	cfg := client.Default()
	cfg.Brokers = []string{c.Addr()}
	cfg.Signing, err = sign.Config{
		Keys:      []sign.Key{{ID: "k1", Secret: "${env:K}"}},
		Reporters: []sign.Reporter{{Key: sign.Key{ID: "users-team", Secret: "${env:T}"}, Services: []string{"user-service"}}},
	}.Ring(func(name string) string { return map[string]string{"K": strings.Repeat("k", 32), "T": secret}[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	tail, err := client.NewTail(cfg, client.TailConfig{Topics: []string{event.TopicServiceMetrics, event.TopicHealthStatus}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got := map[string]bool{}
	_ = tail.Run(ctx, func(batch []client.Record) {
		for _, r := range batch {
			got[r.Topic] = cfg.Verify(r).SpeaksFor("user-service")
		}
		if len(got) == 2 {
			cancel()
		}
	})
	if !got[event.TopicServiceMetrics] || !got[event.TopicHealthStatus] {
		t.Errorf("signed: %v", got)
	}
	for _, bad := range []kafka.SigningKey{{ID: "k"}, {Secret: secret}, {ID: "a b", Secret: secret}, {ID: "k", Secret: secret[:31]}} {
		if _, err := kafka.NewPublisher(kafka.Config{Brokers: []string{c.Addr()}, SigningKey: bad}); err == nil || !strings.Contains(err.Error(), "SigningKey") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestReportsReachASecuredCluster(t *testing.T) {
	ca := kafkatest.NewAuthority(t)
	addr := kafkatest.NewSecure(t, ca.Server("broker", time.Now().Add(time.Hour), false), [][3]string{{"SCRAM-SHA-512", "ann", "pw"}}, kfake.SeedTopics(3, event.TopicServiceMetrics))
	for _, row := range []struct {
		password string
		arrives  bool
		timeout  time.Duration
	}{{"pw", true, time.Minute}, {"wrong", false, 2 * time.Second}} {
		p, err := kafka.NewPublisher(kafka.Config{
			Brokers: []string{addr}, TLS: kafka.TLS{CA: ca.File}, Timeout: row.timeout,
			Login: kafka.Login{Mechanism: "SCRAM-SHA-512", User: "ann", Password: row.password},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.Publish(sample(time.Now()))
		ctx, cancel := context.WithTimeout(context.Background(), 5*row.timeout)
		_ = p.Close(ctx)
		cancel()
		if s := p.Stats(); (s.Delivered == 1) != row.arrives {
			t.Errorf("with the password %q: %+v", row.password, s)
		}
	}
}

func TestDeadBrokerNeverBlocksTheServiceAndLossIsCounted(t *testing.T) {
	c := kafkatest.New(t, event.TopicServiceMetrics+":3")
	c.Stop()
	p, err := kafka.NewPublisher(kafka.Config{Brokers: []string{c.Addr()}, Buffer: 10, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, p)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for range 1000 {
			p.Publish(sample(time.Now()))
		}
	}()
	<-returned // else the test hangs, and says where
	st := p.Stats()
	dropped := uint64(0)
	for _, n := range st.Dropped {
		dropped += n
	}
	if st.Published != 1000 || dropped < 990 {
		t.Fatalf("%d published, %d dropped, want all but the 10 that the buffer holds", st.Published, dropped)
	}
	c.Start()
	for deadline := time.Now().Add(60 * time.Second); p.Stats().Delivered == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing delivered after the broker came back: %+v", p.Stats())
		}
		p.Publish(sample(time.Now()))
		time.Sleep(100 * time.Millisecond)
	}
}

func TestConfigurationMistakesAreReported(t *testing.T) {
	if _, err := kafka.NewPublisher(kafka.Config{}); err == nil || !strings.Contains(err.Error(), "brokers") {
		t.Errorf("got %v", err)
	}
}

func ExampleNewPublisher() {
	publisher, err := kafka.NewPublisher(kafka.Config{Brokers: []string{"localhost:9092"}})
	if err != nil {
		panic(err)
	}
	reporter, err := report.New(report.Config{ServiceID: "user-service", InstanceID: "user-service-1", Publisher: publisher})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go reporter.Run(ctx)
	// http.ListenAndServe(":9001", reporter.Middleware(mux))
}
