package browse_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A source connector whose topic does not exist was shown as RUNNING.
func TestMissingTopicsOfConnectorsAreShown(t *testing.T) {
	cluster := kafkatest.New(t, "there:1")
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	is, err := admin.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := is.ID
	worker := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		const config = `{"connector.class":"X","topic":"new,there"}`
		const status = `{"type":"source","connector":{"state":"RUNNING"},"tasks":[]}`
		switch {
		case r.URL.Path == "/":
			fmt.Fprintf(rw, `{"version":"4.3.1","kafka_cluster_id":%q}`, id)
		case r.URL.Path == "/connectors":
			fmt.Fprintf(rw, `{"lines":{"status":%s,"info":{"config":%s}}}`, status, config)
		case strings.HasSuffix(r.URL.Path, "/config"):
			fmt.Fprint(rw, config)
		default:
			fmt.Fprint(rw, status)
		}
	}))
	t.Cleanup(worker.Close)
	b, err := browse.New(browse.Config{Kafka: cfg, Admin: admin, Worker: func() string { return worker.URL }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		cluster string
		want    []string
	}{{is.ID, []string{"new"}}, {"another cluster", nil}} {
		id = row.cluster
		all, err := b.Connect(t.Context())
		if err != nil || len(all.Connectors) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		one, err := b.Connector(t.Context(), "lines")
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range [][]string{all.Connectors[0].MissingTopics, one.MissingTopics} {
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("a worker of %s: %s", row.cluster, diff)
			}
		}
	}
}
