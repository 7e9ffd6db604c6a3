package records

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A look for a stall that was about to begin when the sender was closed must
// not arm the next one: it would go on for as long as the process.
func TestAClosedSenderLooksForNoStall(t *testing.T) {
	client, err := kgo.NewClient() // nobody to dial
	if err != nil {
		t.Fatal(err)
	}
	s := &Sender{client: client, stallTimeout: time.Hour, cut: func() {}, given: make(chan struct{}), over: make(chan struct{})}
	s.stall = time.AfterFunc(s.stallTimeout, s.stalled)
	if _, err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stalled()
	if s.stall.Stop() {
		t.Error("it looks on")
	}
}

// Who is interrupted learns what was sent: records that were queued still go,
// those after them are not taken.
func TestWhatWasQueuedIsSentWhenItsSenderIsStopped(t *testing.T) {
	cluster := kafkatest.New(t, "t")
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	s, err := NewSender(t.Context(), cfg, ProduceSpec{Topic: "t", Partition: -1, Linger: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	for range 1000 {
		if err := s.Send(ctx, kafka.Record{Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := s.Send(ctx, kafka.Record{Value: []byte("late")}); !errors.Is(err, context.Canceled) {
		t.Errorf("after that it says %v", err)
	}
	if sent, err := s.Close(ctx); err != nil || sent.Records != 1000 {
		t.Errorf("%d records were sent, %v; want the thousand that were queued", sent.Records, err)
	}
}

// A broker that has just been started says for a while that it does not know
// the topic.
func TestASenderOutlastsABrokerThatStarts(t *testing.T) {
	cluster := kafkatest.New(t, "t")
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	s, err := NewSender(t.Context(), cfg, ProduceSpec{Topic: "t", Partition: -1})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cluster.Fake().ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		ask := req.(*kmsg.MetadataRequest)
		if time.Since(began) > 2*time.Second {
			return nil, nil, false
		}
		cluster.KeepControl()
		resp := ask.ResponseKind().(*kmsg.MetadataResponse)
		host, port, _ := net.SplitHostPort(cluster.Addr())
		b := kmsg.NewMetadataResponseBroker()
		n, _ := strconv.ParseInt(port, 10, 32)
		b.Host, b.Port = host, int32(n)
		resp.Brokers = append(resp.Brokers, b)
		for _, a := range ask.Topics {
			x := kmsg.NewMetadataResponseTopic()
			x.Topic, x.TopicID, x.ErrorCode = a.Topic, a.TopicID, kerr.UnknownTopicOrPartition.Code
			resp.Topics = append(resp.Topics, x)
		}
		return resp, nil, true
	})
	if err := s.Send(t.Context(), kafka.Record{Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if sent, err := s.Close(t.Context()); err != nil || sent.Records != 1 {
		t.Errorf("it gave up: %+v, %v", sent, err)
	}
}
