package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

// idleCount is the number of connections that are kept idle.
const idleCount = 9_500 // below (20,000 descriptors - 256) / 2, the default limit of smartlb on the machine of the results

// resting is the memory of a proxy with idle connections.
type resting struct {
	Contender     string
	Before, After int64 // bytes, proportional set size
}

func (r resting) perConnection() float64 { return float64(r.After-r.Before) / idleCount }

// idle opens connections to each proxy in turn, makes one request on each, and compares memory before with memory after a
// pause.
func (s *stage) idle(ctx context.Context) (all []resting, err error) {
	for _, c := range s.contenders {
		if _, _, err := s.load(ctx, c.URL, 32, 2*time.Second); err != nil { // what the first requests build is not of connections
			return nil, err
		}
		wait(ctx, 10*time.Second)
		r := resting{Contender: c.Name}
		if r.Before, err = memory(c); err != nil {
			return nil, err
		}
		conns, err := s.open(ctx, c.URL)
		if err == nil {
			wait(ctx, 20*time.Second) // a garbage collection, and what it gives back
			r.After, err = memory(c)
		}
		for _, nc := range conns {
			_ = nc.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		all = append(all, r)
		fmt.Printf("%s: %.1f KiB for each of %d connections\n", c.Name, r.perConnection()/1024, idleCount)
	}
	return all, nil
}

func memory(c contender) (sum int64, err error) {
	for _, pid := range rig.Tree(c.Pid) {
		n, err := rig.PSS(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// open makes the connections, 16 at a time.
func (s *stage) open(ctx context.Context, url string) (all []net.Conn, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for part := range 16 {
		wg.Go(func() {
			for n := part; n < idleCount && ctx.Err() == nil; n += 16 {
				nc, one := s.openOne(url)
				mu.Lock()
				if one != nil {
					err = one
				} else {
					all = append(all, nc)
				}
				failed := err != nil
				mu.Unlock()
				if failed {
					return
				}
			}
		})
	}
	wg.Wait()
	return all, err
}

func (s *stage) openOne(url string) (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", s.addressOf(url), 10*time.Second)
	if err != nil {
		return nil, err
	}
	if s.mode.tls {
		nc = tls.Client(nc, &tls.Config{RootCAs: s.roots, ServerName: "localhost", MinVersion: tls.VersionTLS13})
	}
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err == nil {
		var res *http.Response
		if res, err = http.ReadResponse(bufio.NewReader(nc), nil); err == nil {
			_, err = io.Copy(io.Discard, res.Body)
		}
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nc.SetDeadline(time.Time{})
}

func pageIdle(m mode, smartlb, results string, all []resting) error {
	r := &rig.Report{Name: "memory-" + m.name}
	r.Printf("# %s\n\n", m.title)
	r.Versions("go run ./bench/cpu -mode "+m.name, smartlb)
	r.Printf(`%s Memory is the proportional set size of all processes of a proxy, 10 s after a load of 2 s, and 20 s after the connections were made. Otherwise as
cpu.md.

Goal: %s

| proxy | before | after | for each connection |
|---|---|---|---|
`, m.load, m.goal)
	for _, one := range all {
		r.Printf("| %s | %.1f MiB | %.1f MiB | %.1f KiB |\n", one.Contender, float64(one.Before)/(1<<20), float64(one.After)/(1<<20), one.perConnection()/1024)
	}
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, all)
}
