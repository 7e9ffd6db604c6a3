package app

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// queued gives a producer that has so many batches on their way.
func queued(t *testing.T, addr string, batches int) *kafka.Producer {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger, cfg.Compression, cfg.BatchMaxBytes = []string{addr}, 0, "none", 32<<10
	p, err := kafka.NewProducer(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	for range batches {
		if !p.Send(kafka.Record{Topic: event.TopicServiceMetrics, Key: []byte("s"), Value: bytes.Repeat([]byte("x"), int(cfg.BatchMaxBytes)*2/3)}) {
			t.Fatal("not queued")
		}
	}
	return p
}

func TestABrokerThatIsSlowGetsTheLastWords(t *testing.T) {
	k := kafkatest.New(t, event.TopicServiceMetrics)
	fake := k.Fake()
	fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		fake.SleepControl(func() { time.Sleep(250 * time.Millisecond) })
		return nil, nil, false
	})
	const batches = 6 // longer than a broker that hangs is waited for
	p := queued(t, k.Addr(), batches)
	if err := closeProducer(p, noProgressTimeout); err != nil || p.Stats().Delivered() != batches {
		t.Errorf("%v, %+v", err, p.Stats())
	}
}

func TestLastWordsToNobodyAreCounted(t *testing.T) {
	addr, _ := kafkatest.Mute(t)
	p := queued(t, addr, 3)
	if err := closeProducer(p, noProgressTimeout); err == nil || p.Stats().Dropped() != 3 {
		t.Errorf("%v, %+v", err, p.Stats())
	}
}
