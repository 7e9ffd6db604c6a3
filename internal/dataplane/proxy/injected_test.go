package proxy

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
)

func TestARouteInjectsFaults(t *testing.T) {
	b := guarded(t, func(a *action.Actions) {
		a.Fault = &action.Fault{Delay: 10 * time.Millisecond, DelayShare: 1, Status: 503, AbortShare: 1}
	})
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		began := time.Now()
		res, body := do(t, client, "POST", url)
		if res.StatusCode != 503 || !strings.Contains(body, "503 fault-injected: ") || time.Since(began) < 10*time.Millisecond {
			t.Errorf("%s: got %d %s after %s", protocol, res.StatusCode, body, time.Since(began))
		}
	}
	client, url := b.h2Client("/shop.Catalog/List")
	if res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers"); res.Header.Get("Grpc-Status") != "14" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, res.Header)
	}
	if n := b.lives[0].Requests.Load(); n != 0 {
		t.Errorf("the instance got %d requests", n)
	}
	eventually(t, "three lines name the fault, without an instance", func() bool { return strings.Count(b.log.String(), `"attempts":0,"why":"fault-injected"`) == 3 })
}

func TestADelayedRequestGoesOn(t *testing.T) {
	b := guarded(t, func(a *action.Actions) { a.Fault = &action.Fault{Delay: 10 * time.Millisecond, DelayShare: 1} })
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		began := time.Now()
		if res, body := do(t, client, "POST", url); res.StatusCode != 200 || body != "body" || time.Since(began) < 10*time.Millisecond {
			t.Errorf("%s: got %d %s after %s", protocol, res.StatusCode, body, time.Since(began))
		}
	}
	// The time that the client gives ends within the delay.
	b = guarded(t, func(a *action.Actions) { a.Fault = &action.Fault{Delay: time.Hour, DelayShare: 1} })
	client, url := b.h2Client("/shop.Catalog/List")
	if res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers", "Grpc-Timeout: 20m"); res.Header.Get("Grpc-Status") != "4" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, res.Header)
	}
	if n := b.lives[0].Requests.Load(); n != 0 {
		t.Errorf("the instance got %d requests", n)
	}
}

// A client that leaves within a delay frees the place of its request.
func TestAClientLeavesDuringADelay(t *testing.T) {
	b := guarded(t, func(a *action.Actions) { a.Fault = &action.Fault{Delay: time.Hour, DelayShare: 1} })
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		if res, err := client.Do(req); err == nil {
			t.Errorf("%s: got %d", protocol, res.StatusCode)
		}
		cancel()
	}
	eventually(t, "the requests end", func() bool { return strings.Count(b.log.String(), `"why":"client-gone"`) == 2 })
}
