package tracing

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcLogCollector keeps the records that it takes.
type grpcLogCollector struct {
	collectorpb.UnimplementedLogsServiceServer
	mu      sync.Mutex
	records []*logspb.LogRecord
	fields  metadata.MD
	bad     *collectorpb.ExportLogsServiceResponse // instead of taking the records
	err     error                                  // the same
}

func (c *grpcLogCollector) register(s grpc.ServiceRegistrar) {
	collectorpb.RegisterLogsServiceServer(s, c)
}

func (c *grpcLogCollector) Export(ctx context.Context, r *collectorpb.ExportLogsServiceRequest) (*collectorpb.ExportLogsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bad != nil || c.err != nil {
		return c.bad, c.err
	}
	c.fields, _ = metadata.FromIncomingContext(ctx)
	for _, resource := range r.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			c.records = append(c.records, scope.LogRecords...)
		}
	}
	return &collectorpb.ExportLogsServiceResponse{}, nil
}

func (c *grpcLogCollector) len() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.records) }

func TestACollectorGetsTheAccessLogOverGRPC(t *testing.T) {
	c := &grpcLogCollector{}
	e, stop := startLogs(t, secureGRPC(t, c))
	e.Log(anEntry())
	eventually(t, "a record arrives", func() bool { return c.len() == 1 })
	t.Setenv("COLLECTOR_TOKEN", "second")
	e.Log(anEntry())
	stop() // sends what waits
	if c.len() != 2 || c.records[0].Body.GetStringValue() != "GET /a\uFFFD?b=c" || c.records[0].TraceId[0] != 1 {
		t.Errorf("got %v", c.records)
	}
	if got := fmt.Sprint(c.fields.Get("authorization"), c.fields.Get("x-strange")); got != "[second] []" {
		t.Errorf("got the headers %s", got)
	}
	if s := e.Stats(); s != (Stats{}) {
		t.Errorf("lost %+v", s)
	}
}

// A collector that refuses, takes a part or answers too much, and one that is down: each batch is counted as lost, and the next
// batch is sent.
func TestBadCollectorsOfLogsOverGRPCAreCounted(t *testing.T) {
	part := &collectorpb.ExportLogsPartialSuccess{RejectedLogRecords: 1, ErrorMessage: "no"}
	huge := &collectorpb.ExportLogsPartialSuccess{ErrorMessage: strings.Repeat("x", 2*maxAnswer)}
	for name, c := range map[string]*grpcLogCollector{
		"refuses":  {err: status.Error(codes.InvalidArgument, "no")},
		"a part":   {bad: &collectorpb.ExportLogsServiceResponse{PartialSuccess: part}},
		"too much": {bad: &collectorpb.ExportLogsServiceResponse{PartialSuccess: huge}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := startLogs(t, Config{Endpoint: "http://" + serveGRPC(t, c), GRPC: true})
			e.Log(anEntry())
			eventually(t, "the batch is counted as lost", func() bool { return e.Stats().Undelivered == 1 })
			c.mu.Lock()
			c.bad, c.err = nil, nil
			c.mu.Unlock()
			e.Log(anEntry())
			eventually(t, "the next batch arrives", func() bool { return c.len() == 1 })
		})
	}
	e, _ := startLogs(t, Config{Endpoint: "http://127.0.0.1:1", GRPC: true, Timeout: 100 * time.Millisecond})
	e.Log(anEntry())
	eventually(t, "the batch is counted as lost", func() bool { return e.Stats().Undelivered == 1 })
	if e, err := NewLogs(Config{Key: "telemetry.logs", Endpoint: "https://localhost", GRPC: true, CA: filepath.Join(t.TempDir(), "missing")}); e != nil || err == nil || !strings.Contains(err.Error(), "telemetry.logs.ca: open") {
		t.Errorf("got %v", err)
	}
}
