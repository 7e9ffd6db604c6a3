package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// A gRPC status in the trailers, or in a response that is only trailers, decides whether the instance failed.
func TestGRPCStatusIsCharged(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) {
		code := strings.TrimPrefix(r.URL.Path, "/")
		w.Header().Set("Content-Type", "application/grpc")
		if only, ok := strings.CutPrefix(code, "only"); ok {
			w.Header().Set("Grpc-Status", only)
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, "\x00\x00\x00\x00\x00")
		w.Header().Set("Grpc-Status", code)
	})
	b := runMux(t, []string{addr}, nil)
	client, url := b.h2Client("/")
	for _, code := range []string{"0", "1", "4", "5", "8", "13", "14", "16", "nonsense", "only0", "only12", "only14"} {
		req, _ := http.NewRequest("POST", url+code, strings.NewReader("\x00\x00\x00\x00\x00"))
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("TE", "trailers")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = readAll(t, res.Body)
		got := res.Trailer.Get("Grpc-Status")
		if only, ok := strings.CutPrefix(code, "only"); ok {
			if got = res.Header.Get("Grpc-Status"); got != only {
				t.Errorf("%s: got %q", code, got)
			}
		} else if got != code {
			t.Errorf("%s: got %q", code, got)
		}
	}
	failures := map[string]bool{"4": true, "8": true, "13": true, "14": true, "only14": true}
	for _, e := range b.entries() {
		code := strings.TrimPrefix(e.Target, "/")
		if (e.Failure == "grpc-status") != failures[code] || (e.Why == dispatch.CodeGRPCStatus) != failures[code] {
			t.Errorf("%s: log %+v", code, e)
		}
	}
}

// Replies of the proxy are statuses of gRPC, as its clients expect.
func TestRepliesToGRPC(t *testing.T) {
	hang, _ := h2Instance(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, tc := range []struct {
		instance, timeout string
		status            string
		code              string
	}{
		{"127.0.0.1:1", "", "14", "upstream-connect"},
		{hang, "100m", "4", "upstream-timeout"},
	} {
		b := runMux(t, []string{tc.instance}, nil)
		client, url := b.h2Client("/shop.Catalog/List")
		req, _ := http.NewRequest("POST", url, strings.NewReader(""))
		req.Header.Set("Content-Type", "application/grpc+proto")
		if tc.timeout != "" {
			req.Header.Set("Grpc-Timeout", tc.timeout)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := readAll(t, res.Body)
		if res.StatusCode != 200 || body != "" || res.Header.Get("Grpc-Status") != tc.status || !strings.Contains(res.Header.Get("Grpc-Message"), tc.code) || res.Header.Get("Content-Type") != "application/grpc" {
			t.Errorf("%+v: got %d %v %q", tc, res.StatusCode, res.Header, body)
		}
		if got := b.entries(); len(got) != 1 || got[0].Why != tc.code {
			t.Errorf("log %+v", got)
		}
	}
}

func TestGRPCStatusOfReplies(t *testing.T) {
	for status, want := range map[int]int{400: 13, 408: 4, 404: 12, 403: 7, 413: 8, 431: 8, 502: 14, 503: 14, 504: 4} {
		if got := grpcStatus(status, ""); got != want {
			t.Errorf("%d: got %d, want %d", status, got, want)
		}
	}
	if got := grpcStatus(499, dispatch.CodeClientGone); got != grpcCancelled {
		t.Error(fmt.Sprint(got))
	}
}
