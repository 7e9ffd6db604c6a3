package records_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/brokertest"
)

// Readers wait for an open transaction and are told so; a group may be put
// behind it, as with Kafka's own tools, and its lag before and after is the one
// that it has.
func TestAnOpenTransactionHoldsBackReadersOnly(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 1, nil)
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1}, kafka.Record{Value: []byte("a")}, kafka.Record{Value: []byte("b")})
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("c"), kgo.StringRecord("d"), kgo.StringRecord("e")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	said, got := "", 0
	for chunk, err := range records.Consume(t.Context(), cfg, records.ConsumeSpec{Topic: "t", Beginning: true}) {
		if err != nil {
			t.Fatal(err)
		}
		said, got = said+strings.Join(chunk.Notes, "\n"), got+len(chunk.Records)
	}
	if got != 2 {
		t.Errorf("%d records are read; want the two before the transaction", got)
	}
	if !strings.Contains(said, "partition 0: an open transaction begins at offset 2; 3 offsets in 1 of the partitions") {
		t.Errorf("it says %q", said)
	}
	for _, row := range []struct {
		to                string
		at, before, after int64
	}{{"3", 3, -1, 2}, {"end", 5, 2, 0}, {"start", 0, 0, 5}} {
		r, err := admin.ResetGroup(t.Context(), client, admin.ResetSpec{Group: "g", To: *brokertest.Position(t, row.to), Topics: []admin.TopicParts{{Topic: "t"}}, Execute: true})
		if err != nil || len(r.Rows) != 1 || r.Rows[0].To != row.at || r.Rows[0].LagBefore != row.before || r.Rows[0].LagAfter != row.after {
			t.Errorf("to %s: %+v, %v", row.to, r, err)
		}
		if g, err := admin.DescribeGroup(t.Context(), client, "g"); err != nil || g.Lag != row.after {
			t.Errorf("at %s its lag is %d, %v; the reset said %d", row.to, g.Lag, err, row.after)
		}
	}
}
