package bench_test

import (
	"errors"
	"testing"

	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/bench"
	"github.com/smartlb/smartlb/internal/test/brokertest"
)

func TestBenchMeasuresWhatItSends(t *testing.T) {
	cfg, client := brokertest.New(t)
	spec := bench.Spec{Records: 2000, Partitions: 3, Compression: "zstd", Acks: "all", Keyed: true, Payload: bench.Payload{Services: 6, Instances: 2, Size: 400}, Seed: 7}
	b, err := bench.Produce(t.Context(), cfg, brokertest.Catalog(t), spec)
	if err != nil || b.Records != 2000 || b.Failed != 0 || b.Bytes < 2000*400 || b.Latency.P50 <= 0 || b.Latency.Max < b.Latency.P99 || len(b.Spread) != 3 {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err = bench.Consume(t.Context(), cfg, spec); err != nil || b.Records != 2000 {
		t.Errorf("%+v, %v", b, err)
	}
	if left, err := admin.ListTopics(t.Context(), client, nil, false); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	spec.Topic = "service-metrics"
	if _, err := bench.Produce(t.Context(), cfg, brokertest.Catalog(t), spec); !errors.Is(err, bench.ErrPrecious) {
		t.Errorf("a topic of the catalog gives %v", err)
	}
	for _, bad := range []bench.Spec{{}, {Records: -1, For: 1}, {Records: 1, Payload: bench.Payload{Services: 0, Instances: 1}}, {Records: 1, Payload: bench.Payload{Services: 1, Instances: 1, Skew: -1}}} {
		if _, err := bench.Produce(t.Context(), cfg, brokertest.Catalog(t), bad); err == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
