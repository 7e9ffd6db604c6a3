package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func TestConsoleMessages(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, client, broker := demo(t)
	makeHostile(t, broker)
	inBrowser(t, "messages", consoleOf(t, client))
}

// makeHostile makes the topic hostile, whose messages are what a page should
// never trust: web/e2e/messages.spec.ts knows them by their offsets.
func makeHostile(t *testing.T, broker string) {
	t.Helper()
	var fields bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&fields, `,"field-%d":%d`, i, i)
	}
	big := []byte(`{"big":"` + strings.Repeat("x", kafka.MaxValueBytes-10) + `"}`)
	text := func(s string) []byte { return []byte(s) }
	script := `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`
	produceTo(t, broker, "hostile",
		kafka.Record{Key: text("plain"), Value: text(`{"n":12345678901234567890,"n":2}`)},
		kafka.Record{Key: text("<b>key</b>"), Value: text(script), Headers: []kafka.Header{{Key: "<i>", Value: text(script)}, {Key: "again", Value: text("1")}, {Key: "again", Value: []byte{0xff}}, {Key: "none"}}},
		kafka.Record{Key: text("\u202egnp.exe"), Value: text("user\u202etxt.exe\u0000\u200b")},
		kafka.Record{Key: []byte{0xc3}, Value: []byte{0xff, 0xfe, 0, 0x80}},
		kafka.Record{Key: text("deep"), Value: text(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000))},
		kafka.Record{Key: text("wide"), Value: text("{" + fields.String()[1:] + "}")},
		kafka.Record{Key: text("gone")},
		kafka.Record{Key: []byte{}, Value: []byte{}},
		kafka.Record{Value: text("null")},
		kafka.Record{Key: text("big"), Value: big},
	)
}

// produceTo makes a topic of one partition that takes 10 MB, and fills it.
func produceTo(t *testing.T, broker, topic string, list ...kafka.Record) {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers = []string{broker}
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := admin.CreateTopic(ctx, a, admin.NewTopic{Name: topic, Partitions: 1, Replicas: 1, Configs: map[string]string{"max.message.bytes": fmt.Sprint(kafka.MaxBatchBytes)}}, false); err != nil {
		t.Fatal(err)
	}
	s, err := records.NewSender(ctx, cfg, records.ProduceSpec{Topic: topic, Partition: 0, Compression: "lz4"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if err := s.Send(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// A broker that dies and comes back while a search and a live stream are open.
func TestConsoleMessagesWithoutTheirBroker(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	data := t.TempDir()
	address := porttest.Address(t)
	run := func() *process {
		return start(t, true, "run", "--roles", "broker", "--broker-listen", address, "--broker-internal", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data)
	}
	broker := run()
	produceTo(t, address, "orders", kafka.Record{Key: []byte("a"), Value: []byte(`{"n":1}`)}, kafka.Record{Key: []byte("b"), Value: []byte(`{"n":2}`)})
	console := start(t, true, "run", "--roles", "console", "--kafka", address, "--console", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	var mu sync.Mutex
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.URL.Path {
		case "/stop":
			broker.stop(os.Kill)
		case "/start":
			broker = run()
		case "/produce":
			if _, errs, code := smartlb(t, "kafka", "produce", "orders", `{"n":3}`, "-k", "c", "-b", address); code != 0 {
				http.Error(w, errs, http.StatusInternalServerError)
			}
		}
	}))
	defer control.Close()
	inBrowser(t, "restart", "http://"+console.Address("console"), "BROKER_CONTROL="+control.URL)
}
