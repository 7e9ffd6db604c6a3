package collector

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	service "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/smartlb/smartlb/internal/event"
)

func TestMetricsByGRPC(t *testing.T) {
	x := receive(t, "secret")
	server := httptest.NewUnstartedServer(x.r)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	conn, err := grpc.NewClient("passthrough:///"+server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := service.NewMetricsServiceClient(conn)
	var request service.ExportMetricsServiceRequest
	body := `{"resourceMetrics": [` + resourceOf("shop", "shop-1", x.gauge("http.server.active_requests", 3)) + "," + resourceOf("shop", "ünknown 100%", x.gauge("a", 1)) + `]}`
	if err := protojson.Unmarshal([]byte(body), &request); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	admitted := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer secret")
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		res, err := client.Export(admitted, &request, options...)
		if err != nil || res.GetPartialSuccess().GetRejectedDataPoints() != 1 || !strings.Contains(res.GetPartialSuccess().GetErrorMessage(), `"ünknown 100%"`) {
			t.Errorf("got %v, %v", res, err)
		}
	}
	if m, n := x.last("shop-1"); n != 2 || m.Metrics.ActiveConnections != event.Some(3) {
		t.Errorf("%d messages, %+v", n, m)
	}
	if _, err := client.Export(ctx, &request); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "want the header Authorization") {
		t.Errorf("without a token: %v", err)
	}
	for range maxAtOnce {
		x.r.slots <- struct{}{}
	}
	if _, err := client.Export(admitted, &request); status.Code(err) != codes.Unavailable {
		t.Errorf("busy: %v", err)
	}
}

func TestHostileCallsOfGRPC(t *testing.T) {
	x := receive(t, "")
	framed := func(size uint32, flag byte, body []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{flag}, size), body...)
	}
	for _, tc := range []struct {
		name   string
		body   []byte
		status string
		result RequestResult
	}{
		{"empty message", framed(0, 0, nil), "", RequestTaken},
		{"nothing", nil, "3", RequestMalformed},
		{"a part of the head", []byte{0, 0}, "3", RequestMalformed},
		{"a cut message", framed(100, 0, make([]byte, 10)), "3", RequestMalformed},
		{"too large", framed(maxBody+1, 0, nil), "8", RequestTooLarge},
		{"malformed", framed(2, 0, []byte("{}")), "3", RequestMalformed},
		{"compressed by what nobody knows", framed(2, 1, []byte("{}")), "3", RequestMalformed},
	} {
		req := httptest.NewRequest(http.MethodPost, pathGRPC, bytes.NewReader(tc.body))
		req.ProtoMajor = 2
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Grpc-Encoding", "snappy")
		before := x.r.Stats().Requests[tc.result]
		w := httptest.NewRecorder()
		x.r.ServeHTTP(w, req)
		if got := w.Result().Header.Get("Grpc-Status"); w.Code != http.StatusOK || got != tc.status || x.r.Stats().Requests[tc.result] != before+1 {
			t.Errorf("%s: status %d, %q of gRPC, want %q and %s", tc.name, w.Code, got, tc.status, tc.result)
		}
	}
	w := httptest.NewRecorder()
	x.r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, pathGRPC, nil))
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a call over HTTP/1.1: %d", w.Code)
	}
}
