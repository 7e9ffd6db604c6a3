package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/smartlb/smartlb/bench/openload"
	"github.com/smartlb/smartlb/bench/stats"
)

// instance is an HTTP server with a queue, workers and a service time that is
// slept. Its answers say how long the service took and of which mean it was
// drawn: X-Bench: instance, service ns, mean ns.
type instance struct {
	index   int
	addr    string
	now     func() condition
	free    chan *openload.Alarm // idle workers; receivers are served in order of arrival
	mu      sync.Mutex
	rnd     *rand.Rand
	conns   map[net.Conn]bool
	failed  error
	running sync.WaitGroup
}

func newInstance(index int, addr string, seed uint64, workers int, now func() condition) (*instance, error) {
	in := &instance{
		index: index, addr: addr, now: now, free: make(chan *openload.Alarm, workers),
		rnd: rand.New(rand.NewPCG(seed, uint64(index))), conns: map[net.Conn]bool{},
	}
	for range workers {
		a, err := openload.NewAlarm()
		if err != nil {
			return nil, err
		}
		in.free <- a
	}
	return in, nil
}

// run listens whenever the condition allows it, until ctx ends.
func (in *instance) run(ctx context.Context) error {
	defer in.running.Wait()
	for ctx.Err() == nil {
		l, err := net.Listen("tcp", in.addr)
		if err != nil {
			return err
		}
		in.running.Go(func() { in.accept(l) })
		in.await(ctx, func(c condition) bool { return c.Down })
		_ = l.Close()
		in.reset()
		in.await(ctx, func(c condition) bool { return !c.Down })
	}
	return in.failed
}

// await polls the condition each millisecond.
func (in *instance) await(ctx context.Context, want func(condition) bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !want(in.now()) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (in *instance) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		in.mu.Lock()
		in.conns[c] = true
		in.mu.Unlock()
		in.running.Go(func() { in.serve(c) })
	}
}

// reset breaks all connections as a killed process does.
func (in *instance) reset() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for c := range in.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

func (in *instance) serve(c net.Conn) {
	defer func() {
		in.mu.Lock()
		delete(in.conns, c)
		in.mu.Unlock()
		_ = c.Close()
	}()
	for r := bufio.NewReader(c); ; {
		first, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		for line := first; len(bytes.TrimSpace(line)) > 0; {
			if line, err = r.ReadBytes('\n'); err != nil {
				return
			}
		}
		status, took, mean := 200, time.Duration(0), time.Duration(0)
		if !bytes.HasPrefix(first, []byte("GET /health ")) {
			if status, took, mean, err = in.work(); err != nil {
				in.mu.Lock()
				in.failed = err
				in.mu.Unlock()
				return
			}
		}
		for in.now().Hung {
			time.Sleep(time.Millisecond)
		}
		if _, err := fmt.Fprintf(c, "HTTP/1.1 %d X\r\nContent-Length: 2\r\nX-Bench: %d %d %d\r\n\r\nok", status, in.index, took, mean); err != nil {
			return
		}
	}
}

// work waits for a worker and serves one request. The service time is measured:
// what the sleep overshoots is the harness's, not the balancer's.
func (in *instance) work() (status int, took, mean time.Duration, err error) {
	now := in.now()
	in.mu.Lock()
	fails := in.rnd.Float64() < now.Errors
	in.mu.Unlock()
	if fails {
		status = 500
		if now.Fast {
			time.Sleep(time.Millisecond)
			return status, 0, 0, nil
		}
	} else {
		status = 200
	}
	w := <-in.free
	defer func() { in.free <- w }()
	began := time.Now()
	mean = time.Duration(meanMillis * in.now().Scale * float64(time.Millisecond))
	in.mu.Lock()
	d := stats.Lognormal{Mean: float64(mean), CV: variation}.Draw(in.rnd)
	in.mu.Unlock()
	err = w.Sleep(time.Duration(d))
	return status, time.Since(began), mean, err
}
