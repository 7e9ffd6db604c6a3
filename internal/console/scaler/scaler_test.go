package scaler

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
)

func some[T any](v T) *T { return &v }

// known is a service that needs 3.2 instances at a target of 0.8.
func known(confidence string) api.Capacity {
	return api.Capacity{Service: "shop", Confidence: confidence, Reason: "the reason", Load: some(320.0), Capacity: some(500.0), PerInstance: some(100.0), Recommended: some(4)}
}

// services are what the tests ask for.
func services(_ context.Context, q api.CapacityQuery) ([]api.Capacity, error) {
	c := known("high")
	switch q.Service {
	case "shop":
		c.PerInstance = some(100 * q.Target / .8)
	case "idle":
		c.Load = some(0.0)
	case "guessed":
		c = known("low")
	case "lower-bound":
		c.PerInstance, c.Recommended, c.AtLeast = nil, nil, true
	case "unknown":
		c = api.Capacity{Service: q.Service, Confidence: "none", Reason: "no instance has an estimate"}
	case "away":
		return nil, problem.Errorf(problem.Unavailable, "no proxy sent a status in the last 15 s")
	case "broken":
		return nil, errors.New("disk")
	default:
		return nil, problem.Errorf(problem.NotFound, "there is no service %q", q.Service)
	}
	return []api.Capacity{c}, nil
}

// serve starts a server and returns a connection to it.
func serve(t *testing.T) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(Config{Capacity: services, Log: slog.New(slog.DiscardHandler)}).Run(ctx, l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(byteCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		_ = conn.Close()
	})
	return conn
}

func text(number protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), v)
}

// ref is a ScaledObjectRef with pairs of metadata.
func ref(pairs ...string) message {
	m := append(text(1, "shop-scaler"), text(2, "default")...)
	for i := 0; i+1 < len(pairs); i += 2 {
		m = append(m, text(3, string(append(text(1, pairs[i]), text(2, pairs[i+1])...)))...)
	}
	return m
}

func asked(metric string, o message) message {
	return append(text(1, string(o)), text(2, metric)...)
}

func ask(t *testing.T, conn *grpc.ClientConn, method string, request message) (message, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var response message
	err := conn.Invoke(ctx, "/"+serviceName+"/"+method, &request, &response)
	return response, err
}

// numbers reads a response with one metric.
func numbers(t *testing.T, m message) (name string, whole uint64, exact float64) {
	t.Helper()
	if err := fields(m, func(_ protowire.Number, one []byte) error {
		for len(one) > 0 {
			number, kind, n := protowire.ConsumeTag(one)
			one = one[n:]
			switch number {
			case 1:
				name, n = protowire.ConsumeString(one)
			case 2:
				whole, n = protowire.ConsumeVarint(one)
			case 3:
				var bits uint64
				bits, n = protowire.ConsumeFixed64(one)
				exact = math.Float64frombits(bits)
			default:
				n = protowire.ConsumeFieldValue(number, kind, one)
			}
			one = one[n:]
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return name, whole, exact
}

func TestKEDAGetsTheNumberOfInstances(t *testing.T) {
	conn := serve(t)
	response, err := ask(t, conn, "GetMetricSpec", ref("service", "shop", "scalerAddress", "smartlb:8085"))
	if name, whole, exact := numbers(t, response); err != nil || name != metricName || whole != 1 || exact != 1 {
		t.Errorf("GetMetricSpec: %q %d %v, %v", name, whole, exact, err)
	}
	if response, err := ask(t, conn, "IsActive", ref("service", "idle")); err != nil || string(response) != "\x08\x01" {
		t.Errorf("IsActive: %x, %v", response, err)
	}
	for _, c := range []struct {
		pairs []string
		whole uint64
		exact float64
	}{
		{[]string{"service", "shop"}, 4, 3.2},
		{[]string{"service", "shop", "targetUtilization", "0.4"}, 7, 6.4},
		{[]string{"service", "idle"}, 1, 1}, // never 0
		{[]string{"service", "guessed", "minConfidence", "low"}, 4, 3.2},
	} {
		response, err := ask(t, conn, "GetMetrics", asked(metricName, ref(c.pairs...)))
		if name, whole, exact := numbers(t, response); err != nil || name != metricName || whole != c.whole || math.Abs(exact-c.exact) > 1e-9 {
			t.Errorf("%v: got %q %d %v, %v", c.pairs, name, whole, exact, err)
		}
	}
}

func TestWhatIsNotKnownIsAnError(t *testing.T) {
	conn := serve(t)
	for _, c := range []struct {
		what, method string
		request      message
		code         codes.Code
		text         string
	}{
		{"a capacity that is unknown", "GetMetrics", asked(metricName, ref("service", "unknown")), codes.FailedPrecondition, "unknown needs is unknown: no instance has an estimate"},
		{"a lower bound", "GetMetrics", asked(metricName, ref("service", "lower-bound")), codes.FailedPrecondition, "lower bound only"},
		{"too low a confidence", "GetMetrics", asked(metricName, ref("service", "guessed")), codes.FailedPrecondition, "low confidence, and minConfidence is medium"},
		{"no such service", "GetMetrics", asked(metricName, ref("service", "shpo")), codes.NotFound, `there is no service "shpo"`},
		{"no such service", "IsActive", ref("service", "shpo"), codes.NotFound, `there is no service "shpo"`},
		{"no proxy", "IsActive", ref("service", "away"), codes.Unavailable, "no proxy sent"},
		{"another error", "GetMetrics", asked(metricName, ref("service", "broken")), codes.Unavailable, "disk"},
		{"another metric", "GetMetrics", asked("cpu", ref("service", "shop")), codes.InvalidArgument, `no metric "cpu"`},
		{"no service", "GetMetricSpec", ref(), codes.InvalidArgument, "service is missing"},
		{"a misspelled key", "GetMetricSpec", ref("service", "shop", "targetUtilisation", "0.5"), codes.InvalidArgument, "did you mean targetUtilization?"},
		{"a target in percent", "GetMetricSpec", ref("service", "shop", "targetUtilization", "80"), codes.InvalidArgument, "targetUtilization: want 0.05 to 1"},
		{"a target that is none", "GetMetricSpec", ref("service", "shop", "targetUtilization", "NaN"), codes.InvalidArgument, "targetUtilization: want 0.05 to 1"},
		{"a confidence that is none", "GetMetricSpec", ref("service", "shop", "minConfidence", "none"), codes.InvalidArgument, "minConfidence: want low, medium or high"},
		{"bytes that are no message", "GetMetrics", message("\xff\xff"), codes.InvalidArgument, "externalscaler.proto"},
		{"a method of later versions", "StreamMetricSpec", ref("service", "shop"), codes.Unimplemented, ""},
		{"a large message", "IsActive", ref("service", strings.Repeat("x", maxMessage)), codes.ResourceExhausted, ""},
	} {
		_, err := ask(t, conn, c.method, c.request)
		if s := status.Convert(err); s.Code() != c.code || !strings.Contains(s.Message(), c.text) {
			t.Errorf("%s, %s: got %v, want %v with %q", c.what, c.method, err, c.code, c.text)
		}
	}
	var many []string
	for i := range maxMetadata + 1 {
		many = append(many, strings.Repeat("k", i+1), "v")
	}
	if _, err := ask(t, conn, "IsActive", ref(many...)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("too much metadata: %v", err)
	}
}

func TestAStreamSaysActiveOnceAndEndsWithTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(Config{Capacity: services, Log: slog.New(slog.DiscardHandler)}).Run(ctx, l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(byteCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	within, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	stream, err := conn.NewStream(within, &grpc.StreamDesc{ServerStreams: true}, "/"+serviceName+"/StreamIsActive")
	if err != nil {
		t.Fatal(err)
	}
	request, response := ref("service", "shop"), message(nil)
	if err := errors.Join(stream.SendMsg(&request), stream.CloseSend(), stream.RecvMsg(&response)); err != nil || string(response) != "\x08\x01" {
		t.Fatalf("got %x, %v", response, err)
	}
	cancel()
	if err := stream.RecvMsg(&response); status.Code(err) != codes.Unavailable {
		t.Errorf("after the stop: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func FuzzRequestsAreBounded(f *testing.F) {
	f.Add([]byte(asked(metricName, ref("service", "shop"))))
	f.Add([]byte("\x0a\x00\x12\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, metric, err := parseRequest(b)
		if err == nil && (len(o.metadata) > maxMetadata || len(metric)+len(o.name)+len(o.namespace) > len(b)) {
			t.Errorf("%d bytes became %d entries, %q", len(b), len(o.metadata), metric)
		}
		if _, err := parse(o.metadata); err == nil && o.metadata[keyService] == "" {
			t.Error("no service is accepted")
		}
	})
}
