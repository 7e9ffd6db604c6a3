// Discovery measures what a service costs whose instances change all the time: CPU of the node with and without changes, and
// requests that fail meanwhile. Linux only: each address of 127.0.0.0/8 is an instance.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

const (
	settle = 10 * time.Second // before each slice: the instances of the latest change have joined
	span   = 20 * time.Second // of each slice
	pause  = 10 * time.Millisecond
)

func main() {
	smartlb := flag.String("smartlb", "bin/smartlb", "the binary to measure")
	results := flag.String("results", "bench/results", "where to write")
	rounds := flag.Int("rounds", 5, "pairs of slices")
	instances := flag.Int("instances", 5000, "instances of the service")
	changes := flag.Int("changes", 50, "instances that leave, and others that join, each second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *smartlb, *results, *rounds, *instances, *changes); err != nil {
		log.Fatal(err)
	}
}

// slice is what one span showed.
type slice struct {
	CPU, Foreign     float64 // of the node, of a core; of the machine, by others
	Joins            float64 // a second, as the node counts them
	Requests, Failed int64
}

// stage is what runs during all slices.
type stage struct {
	registry         registry
	node             *rig.Process
	proxy, admin     string
	requests, failed atomic.Int64
}

// registry lists a window of all addresses. The window moves with each change.
type registry struct {
	mu         sync.Mutex
	first, len int
	port       string
}

func (r *registry) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	targets := make([]string, r.len)
	for i := range targets {
		at := (r.first + i) % (1 << 20)
		targets[i] = fmt.Sprintf("127.%d.%d.%d:%s", 16+at>>16, at>>8&255, at&255, r.port)
	}
	r.mu.Unlock()
	_ = json.NewEncoder(w).Encode([]map[string]any{{"targets": targets}})
}

func (r *registry) move(n int) {
	r.mu.Lock()
	r.first += n
	r.mu.Unlock()
}

func measure(ctx context.Context, smartlb, results string, rounds, instances, changes int) error {
	program, err := filepath.Abs(smartlb)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "smartlb-bench-discovery")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, end, err := begin(ctx, dir, program, instances)
	if err != nil {
		return err
	}
	defer end()
	var all [2][]slice // without and with changes
	for round := range rounds {
		for k := range 2 {
			moving := (k+round)%2 == 1
			one, err := s.slice(ctx, moving, changes)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "round %d, changes %v: CPU %.1f %%, %.0f joins/s, %d of %d requests failed, foreign CPU %.0f %%\n", round+1, moving, 100*one.CPU, one.Joins, one.Failed, one.Requests, 100*one.Foreign)
			at := 0
			if moving {
				at = 1
			}
			all[at] = append(all[at], one)
		}
	}
	return page(results, program, instances, changes, all)
}

// begin starts the instances, the registry, the node and the load, and waits until the node knows the instances.
func begin(ctx context.Context, dir, program string, instances int) (s *stage, end func(), err error) {
	var ends []func()
	end = func() {
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
	}
	listen, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, nil, err
	}
	_, port, _ := net.SplitHostPort(listen.Addr().String())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
	go func() { _ = server.Serve(listen) }()
	ends = append(ends, func() { _ = server.Close() })
	s = &stage{registry: registry{len: instances, port: port}}
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, end, err
	}
	source := &http.Server{Handler: &s.registry}
	go func() { _ = source.Serve(at) }()
	ends = append(ends, func() { _ = source.Close() })
	addrs, err := rig.FreeAddrs(2)
	if err != nil {
		return nil, end, err
	}
	s.proxy, s.admin = addrs[0], addrs[1]
	file := filepath.Join(dir, "smartlb.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `listeners: [{name: web, address: %q}]
routes: [{name: r, service: s}]
services:
  - {id: s, discovery: {http: {url: "http://%s/", interval: 1s}, allow: [127.0.0.0/8], maxInstances: 10000, maxLoss: 1}}
`, s.proxy, at.Addr()), 0o600); err != nil {
		return nil, end, err
	}
	s.node, err = rig.Start(dir, "node", program, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", s.admin, "--data", filepath.Join(dir, "data"))
	if err != nil {
		return nil, end, err
	}
	ends = append(ends, s.node.Stop)
	if err := errors.Join(s.node.AwaitOK(ctx, "http://"+s.admin+"/readyz"), s.node.AwaitOK(ctx, "http://"+s.proxy+"/")); err != nil {
		return nil, end, err
	}
	loading, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	load.Go(func() { s.load(loading) })
	ends = append(ends, func() { stop(); load.Wait() })
	return s, end, nil
}

// load sends about 100 requests a second.
func (s *stage) load(ctx context.Context) {
	client := &http.Client{Timeout: 10 * time.Second}
	for ctx.Err() == nil {
		resp, err := client.Get("http://" + s.proxy + "/")
		s.requests.Add(1)
		if err != nil || resp.StatusCode != 200 {
			s.failed.Add(1)
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		time.Sleep(pause)
	}
}

func (s *stage) slice(ctx context.Context, moving bool, changes int) (slice, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if moving {
		go func() {
			every := time.NewTicker(time.Second / time.Duration(changes))
			defer every.Stop()
			for ctx.Err() == nil {
				<-every.C
				s.registry.move(1)
			}
		}()
	}
	if err := wait(ctx, settle); err != nil {
		return slice{}, err
	}
	busy, err := rig.Busy()
	if err != nil {
		return slice{}, err
	}
	joins, err := s.joins(ctx)
	if err != nil {
		return slice{}, err
	}
	began, cpu, own := time.Now(), rig.CPU(s.node.Pid), rig.CPU(os.Getpid())
	requests, failed := s.requests.Load(), s.failed.Load()
	if err := wait(ctx, span); err != nil {
		return slice{}, err
	}
	took, used := time.Since(began).Seconds(), rig.CPU(s.node.Pid)-cpu
	now, err := rig.Busy()
	if err != nil {
		return slice{}, err
	}
	after, err := s.joins(ctx)
	if err != nil {
		return slice{}, err
	}
	foreign := now - busy - used - (rig.CPU(os.Getpid()) - own)
	return slice{
		CPU: used.Seconds() / took, Foreign: max(0, foreign.Seconds()/took/2), Joins: (after - joins) / took,
		Requests: s.requests.Load() - requests, Failed: s.failed.Load() - failed,
	}, nil
}

// joins returns the number of instances that joined since the node started.
func (s *stage) joins(ctx context.Context) (n float64, err error) {
	text, err := rig.Get(ctx, "http://"+s.admin+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "smartlb_discovery_joins_total{") {
			_, err := fmt.Sscan(line[strings.LastIndex(line, " "):], &n)
			return n, err
		}
	}
	return 0, errors.New("the node has no smartlb_discovery_joins_total")
}

func page(results, program string, instances, changes int, all [2][]slice) error {
	r := &rig.Report{Name: "discovery"}
	r.Printf("# A service whose instances change all the time\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/discovery -rounds %d -instances %d -changes %d", len(all[0]), instances, changes), program)
	r.Printf("%d instances of one service, listed by a server that the node asks each second. With changes, one instance leaves the list and another one joins it %d times a second.\n", instances, changes)
	r.Printf("About %.0f requests a second meanwhile. Slices of %s with and without changes, in turning order, each after %s. Median (lowest..highest) of %d slices.\n\n", float64(time.Second/pause), span, settle, len(all[0]))
	r.Printf("| | without changes | with changes |\n|---|---|---|\n")
	row := func(name string, of func(slice) float64, format string) {
		r.Printf("| %s |", name)
		for _, slices := range all {
			var v []float64
			for _, s := range slices {
				v = append(v, of(s))
			}
			sum := stats.Summarize(v)
			r.Printf(" "+format+" ("+format+".."+format+") |", sum.Median, sum.Min, sum.Max)
		}
		r.Printf("\n")
	}
	row("CPU of the node, % of a core", func(s slice) float64 { return 100 * s.CPU }, "%.1f")
	row("joins a second", func(s slice) float64 { return s.Joins }, "%.0f")
	row("requests", func(s slice) float64 { return float64(s.Requests) }, "%.0f")
	row("failed requests", func(s slice) float64 { return float64(s.Failed) }, "%.0f")
	row("foreign CPU, % of the machine", func(s slice) float64 { return 100 * s.Foreign }, "%.0f")
	return r.Write(results, all)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
