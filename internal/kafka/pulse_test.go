package kafka_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A broker that hangs keeps its connections: "connected" stood for another 17
// seconds, until a request timed out. Slow is not lost.
func TestReaderNoticesABrokerThatHangsAndNotOneThatIsSlow(t *testing.T) {
	c := kafkatest.New(t, "a")
	const healthy, slow, hanging = 0, 1, 2
	var state atomic.Int32
	freed := make(chan struct{})
	c.Fake().Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		switch state.Load() {
		case slow:
			time.Sleep(700 * time.Millisecond)
		case hanging:
			<-freed // the broker answers one request after the other: all wait
		}
		return nil, nil, false
	})
	r := read(t, config(c), kafka.TailConfig{Topics: []string{"a"}})
	until := func(what string, want bool) {
		t.Helper()
		for limit := time.Now().Add(2 * time.Minute); r.tail.Connected() != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("%s: connected is %v", what, !want)
			}
		}
	}
	until("at first", true)
	state.Store(slow)
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !r.tail.Connected() {
			t.Fatal("a broker that answers late is called lost")
		}
	}
	state.Store(hanging)
	began := time.Now()
	until("hanging", false)
	t.Logf("noticed after %s", time.Since(began).Round(100*time.Millisecond))
	state.Store(healthy)
	close(freed)
	until("back", true)
}
