package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Fault describes the faulty behavior of an instance. Zero fields change nothing.
type Fault struct {
	ErrorRate float64 `json:"errorRate"` // share of requests with response 500, 0..1
	LatencyMs float64 `json:"latencyMs"` // mean service time that replaces the instance's own, in ms
}

// FaultPath is the path of an instance's fault: PUT sets it, DELETE removes it.
const FaultPath = "/_demo/fault"

// Server is one demo instance.
type Server struct {
	in     Instance
	fault  atomic.Pointer[Fault]
	slots  chan struct{}
	served atomic.Uint64
	busyNs atomic.Int64
}

// NewServer returns an instance that serves through Handler.
func NewServer(in Instance) *Server {
	return &Server{in: in, slots: make(chan struct{}, max(1, in.Workers))}
}

// Handler returns the instance's application: /health, FaultPath, and every other path as a request with a service
// time.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.work)
	return mux
}

// Control adds to an application the paths that must not count as its traffic: the health check and FaultPath.
func (s *Server) Control(app http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "OK") })
	mux.HandleFunc("PUT "+FaultPath, s.setFault)
	mux.HandleFunc("DELETE "+FaultPath, func(w http.ResponseWriter, _ *http.Request) {
		s.fault.Store(nil)
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (s *Server) setFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.fault.Store(&f)
	w.WriteHeader(http.StatusNoContent)
}

// Utilization returns a function that returns the share of busy workers since its previous call, 0..1. The function has
// one caller only.
func (s *Server) Utilization() func() float64 {
	at, busy := time.Now(), int64(0)
	return func() float64 {
		now, total := time.Now(), s.busyNs.Load()
		span := float64(now.Sub(at)) * float64(max(1, s.in.Workers))
		used := float64(total - busy)
		at, busy = now, total
		if span <= 0 {
			return 0
		}
		return min(1, used/span)
	}
}

// work waits for a worker and a lognormal service time, then responds.
func (s *Server) work(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-r.Context().Done():
		return
	}
	mean, status := s.in.Latency, http.StatusOK
	if f := s.fault.Load(); f != nil {
		if f.LatencyMs > 0 {
			mean = time.Duration(f.LatencyMs * float64(time.Millisecond))
		}
		if rand.Float64() < f.ErrorRate {
			status = http.StatusInternalServerError
		}
	}
	began := time.Now()
	timer := time.NewTimer(lognormal(mean, .5))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	s.busyNs.Add(int64(time.Since(began)))
	n := s.served.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status != http.StatusOK {
		fmt.Fprintf(w, "{\"error\":\"a fault is set on this instance\",\"instance\":%q}\n", s.in.ID)
		return
	}
	fmt.Fprintf(w, "{\"instance\":%q,\"path\":%q,\"served\":%d}\n", s.in.ID, r.URL.Path, n)
}

// lognormal returns a random service time with the given mean and coefficient of variation.
func lognormal(mean time.Duration, cv float64) time.Duration {
	sigma2 := math.Log(1 + cv*cv)
	x := math.Exp(rand.NormFloat64()*math.Sqrt(sigma2) - sigma2/2)
	return time.Duration(float64(mean) * x)
}

// Serve serves h on l until ctx ends. Then it waits a short time for requests in progress.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	soft, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(soft) != nil {
		_ = server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
