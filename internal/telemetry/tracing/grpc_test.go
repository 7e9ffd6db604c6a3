package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/test/certtest"
)

// grpcCollector counts the spans that it takes.
type grpcCollector struct {
	collectorpb.UnimplementedTraceServiceServer
	mu     sync.Mutex
	names  []string
	fields metadata.MD
	answer func(context.Context) (*collectorpb.ExportTraceServiceResponse, error) // nil: take the spans
}

func (c *grpcCollector) Export(ctx context.Context, r *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		return answer(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fields, _ = metadata.FromIncomingContext(ctx)
	for _, resource := range r.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.names = append(c.names, s.Name)
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (c *grpcCollector) register(s grpc.ServiceRegistrar) {
	collectorpb.RegisterTraceServiceServer(s, c)
}

func (c *grpcCollector) len() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.names) }

func (c *grpcCollector) field(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.fields.Get(name), ",")
}

// serveGRPC returns the address of the collector.
func serveGRPC(t *testing.T, c interface{ register(grpc.ServiceRegistrar) }, options ...grpc.ServerOption) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	c.register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// secureGRPC starts a collector with TLS, and returns the settings of an exporter that sends it COLLECTOR_TOKEN, which is
// "first". Variables that OpenTelemetry's exporters read name another collector.
func secureGRPC(t *testing.T, c interface{ register(grpc.ServiceRegistrar) }) Config {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-strange=1")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("COLLECTOR_TOKEN", "first")
	ca := certtest.New(t, "collector")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	secure := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}})
	at := serveGRPC(t, c, grpc.Creds(secure))
	return Config{Endpoint: "https://" + at, GRPC: true, CA: file, Headers: map[string]secret.Ref{"Authorization": "${env:COLLECTOR_TOKEN}"}}
}

func TestACollectorGetsSpansOverGRPC(t *testing.T) {
	c := &grpcCollector{}
	e, _ := start(t, secureGRPC(t, c))
	e.Record(anExchange())
	eventually(t, "three spans arrive", func() bool { return c.len() == 3 })
	if c.names[0] != "GET all" || c.field("authorization") != "first" || c.field("x-strange") != "" {
		t.Errorf("got %q %v", c.names, c.fields)
	}
	t.Setenv("COLLECTOR_TOKEN", "second")
	e.Record(anExchange())
	eventually(t, "three more spans arrive", func() bool { return c.len() == 6 })
	if got := c.field("authorization"); got != "second" {
		t.Errorf("after the secret changed, the collector got %s", got)
	}
	if s := e.Stats(); s != (Stats{}) {
		t.Errorf("lost %+v", s)
	}
}

// A collector that refuses, takes a part, answers too much, never answers, or whose certificate is of an unknown authority: each
// batch is counted as lost, and the next batch is sent.
func TestBadCollectorsOfGRPCAreCounted(t *testing.T) {
	for name, answer := range map[string]func(context.Context) (*collectorpb.ExportTraceServiceResponse, error){
		"refuses": func(context.Context) (*collectorpb.ExportTraceServiceResponse, error) {
			return nil, status.Error(codes.InvalidArgument, strings.Repeat("\x1b[", 9000))
		},
		"unavailable": func(context.Context) (*collectorpb.ExportTraceServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, "later")
		},
		"a part": func(context.Context) (*collectorpb.ExportTraceServiceResponse, error) {
			return &collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: "no"}}, nil
		},
		"too much": func(context.Context) (*collectorpb.ExportTraceServiceResponse, error) {
			return &collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{ErrorMessage: strings.Repeat("x", 2*maxAnswer)}}, nil
		},
		"silent": func(ctx context.Context) (*collectorpb.ExportTraceServiceResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &grpcCollector{answer: answer}
			timeout := time.Minute
			if name == "silent" || name == "unavailable" {
				timeout = 200 * time.Millisecond
			}
			var log bytes.Buffer
			e, stop := start(t, Config{Endpoint: "http://" + serveGRPC(t, c), GRPC: true, Timeout: timeout, Log: slog.New(slog.NewTextHandler(&log, nil))})
			losesOneBatchAndRecovers(t, e, c.len, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.answer = nil
			})
			stop()
			namesTheLoss(t, log.String())
		})
	}
}

// A collector that is down costs the time of the batch, and the secret never goes to one whose certificate is not trusted.
func TestACollectorOfGRPCThatCannotBeReached(t *testing.T) {
	ours := certtest.New(t, "other")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ours.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &grpcCollector{}
	theirs := certtest.New(t, "collector").Issue(certtest.Options{}, "127.0.0.1")
	at := serveGRPC(t, c, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{theirs}})))
	for _, cfg := range []Config{{Endpoint: "http://127.0.0.1:1"}, {Endpoint: "https://" + at, CA: file}, {Endpoint: "http://" + at}} {
		cfg.GRPC, cfg.Timeout = true, 100*time.Millisecond
		e, stop := start(t, cfg)
		e.Record(anExchange())
		eventually(t, "the batch is counted as lost", func() bool { return e.Stats().Undelivered == 3 })
		stop()
	}
	if n := c.len(); n != 0 {
		t.Errorf("the collector got %d spans", n)
	}
}

func TestNewOfGRPCNamesWhatIsMissing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for want, cfg := range map[string]Config{
		"telemetry.tracing.ca: open":              {CA: missing},
		"telemetry.tracing.headers.X: the variab": {Headers: map[string]secret.Ref{"X": "${env:NOT_SET_AT_ALL}"}},
	} {
		cfg.Key, cfg.GRPC, cfg.Endpoint = "telemetry.tracing", true, "https://localhost"
		if e, err := New(cfg); e != nil || err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
