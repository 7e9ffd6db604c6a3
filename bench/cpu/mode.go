package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// mode is one question about the CPU of a request, with a page of its own.
type mode struct {
	name  string
	title string
	load  string // how the load is made, a sentence
	goal  string
	unit  string // what is counted

	tls, http2, grpc bool
	path             string
	conns            int
	idle             bool // connections without requests, and memory
	full, resumed    bool // a connection for each request, with a full or with a resumed handshake
	open             bool // requests at random times, and their latency
	policies         bool // smartlb with policies beside smartlb without
}

// modes are the pages beside the one about HTTP/1.1.
var modes = []mode{
	{name: "http2", title: "CPU per proxied request of HTTP/2", http2: true, path: "/", conns: 8, unit: "request", goal: "At most 1.0 times nginx.",
		load: fmt.Sprintf("h2load: 8 connections with %d requests at a time, HTTP/2 without TLS, to instances of HTTP/1.1.", streams)},
	{name: "tls", title: "CPU per proxied request inside TLS 1.3", tls: true, path: "/", conns: 32, unit: "request", goal: "At most 0.85 times HAProxy.",
		load: "wrk: 32 kept connections of HTTP/1.1 inside TLS 1.3 (ECDSA P-256), to instances without TLS."},
	{name: "tls-full", title: "CPU per full TLS 1.3 handshake", tls: true, full: true, path: "/", conns: 16, unit: "connection", goal: "At most 1.25 times HAProxy (0.8 times its rate).",
		load: "Go's TLS client: 16 at a time, each connection with a full handshake (ECDSA P-256, X25519), one request, and its close."},
	{name: "tls-resumed", title: "CPU per resumed TLS 1.3 handshake", tls: true, resumed: true, path: "/", conns: 16, unit: "connection", goal: "At most 1.0 times HAProxy.",
		load: "Go's TLS client: 16 at a time, each connection with a resumed session, one request, and its close."},
	{name: "body-64k", title: "CPU per response of 64 KiB", path: "/64k", conns: 32, unit: "response", goal: "At most 1.0 times HAProxy.",
		load: "wrk: 32 kept connections of HTTP/1.1, responses of 64 KiB."},
	{name: "body-1m", title: "CPU per response of 1 MiB", path: "/1m", conns: 8, unit: "response", goal: "At most 1.0 times HAProxy.",
		load: "wrk: 8 kept connections of HTTP/1.1, responses of 1 MiB."},
	{name: "tls-body-64k", title: "CPU per response of 64 KiB inside TLS 1.3", tls: true, path: "/64k", conns: 32, unit: "response", goal: "At most 1.0 times HAProxy.",
		load: "wrk: 32 kept connections of HTTP/1.1 inside TLS 1.3, responses of 64 KiB."},
	{name: "tls-body-1m", title: "CPU per response of 1 MiB inside TLS 1.3", tls: true, path: "/1m", conns: 8, unit: "response", goal: "At most 1.0 times HAProxy.",
		load: "wrk: 8 kept connections of HTTP/1.1 inside TLS 1.3, responses of 1 MiB."},
	{name: "idle", title: "Memory of idle connections", idle: true, path: "/", conns: 32, goal: "At most 6 KiB.",
		load: fmt.Sprintf("%d connections of HTTP/1.1, each with one request, then idle.", idleCount)},
	{name: "tls-idle", title: "Memory of idle connections inside TLS 1.3", idle: true, tls: true, path: "/", conns: 32, goal: "At most 20 KiB.",
		load: fmt.Sprintf("%d connections of HTTP/1.1 inside TLS 1.3, each with one request, then idle.", idleCount)},
	{name: "latency", title: "Latency that a proxy adds at half load", open: true, path: "/", conns: 32, goal: "p99 added at most that of HAProxy.",
		load: "requests of HTTP/1.1 at random times (Poisson), whatever became of those before, as many as keep the machine half busy with the most expensive proxy: the load, the origin and the proxy together."},
	{name: "policies", title: "CPU of a typical set of policies", policies: true, path: "/", conns: 32, unit: "request", goal: "At most 1.10 times the same build without them.",
		load: "wrk: 32 kept connections of HTTP/1.1."},
	{name: "grpc", title: "CPU per unary call of gRPC", http2: true, grpc: true, path: "/grpc.testing.TestService/EmptyCall", conns: 8, unit: "call", goal: "At most 0.9 times nginx.",
		load: fmt.Sprintf("h2load: 8 connections with %d calls of EmptyCall at a time, HTTP/2 without TLS on both sides, to two servers of grpc-go.", streams)},
}

func modeOf(name string) (mode, error) {
	var names []string
	for _, m := range modes {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return mode{}, fmt.Errorf("unknown mode %q, want one of %s", name, strings.Join(names, ", "))
}

// files writes what the mode needs: certificates, bodies, the message of a call.
func (s *stage) files() error {
	for name, size := range map[string]int{"64k": 64 << 10, "1m": 1 << 20} {
		if _, err := s.write(name, strings.Repeat("0123456789abcdef", size/16)); err != nil {
			return err
		}
	}
	if _, err := s.write("call", "\x00\x00\x00\x00\x00"); err != nil { // an empty message, not compressed
		return err
	}
	ca := certtest.New(panics{}, "bench")
	cert, key := ca.IssuePEM(certtest.Options{}, "127.0.0.1", "localhost")
	s.roots = ca.Pool()
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key, "both.pem": append(cert[:len(cert):len(cert)], key...)} {
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// panics stands for a test, which certtest wants.
type panics struct{ testing.TB }

func (panics) Helper()           {}
func (panics) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// startServers starts the servers of gRPC.
func (s *stage) startServers(ctx context.Context, _ string) error {
	program := filepath.Join(s.dir, "grpc-server")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./server")
	build.Dir = "test/foreign/grpc"
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	s.instances = s.instances[:2]
	for i, addr := range s.instances {
		p, err := s.start("grpc-"+strconv.Itoa(i), program, addr)
		if err != nil {
			return err
		}
		if err := p.AwaitPort(ctx, addr); err != nil {
			return err
		}
	}
	return nil
}

// connections opens connections, each for one request, c at a time. With resumed, their sessions are resumed.
func (s *stage) connections(ctx context.Context, url string, c int, span time.Duration, resumed bool) (n int64, err error) {
	addr := s.addressOf(url)
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var done, wrong atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	for range c {
		wg.Go(func() {
			cfg := &tls.Config{RootCAs: s.roots, ServerName: "localhost", MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}
			if resumed {
				cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			for first := true; ctx.Err() == nil; first = false {
				did, one := exchange(addr, cfg)
				if one != nil {
					once.Do(func() { err = one })
					return
				}
				if did != (resumed && !first) {
					wrong.Add(1)
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err == nil && wrong.Load() > done.Load()/100 {
		err = fmt.Errorf("%s: %d of %d handshakes were not what was measured", url, wrong.Load(), done.Load())
	}
	if err == nil && done.Load() == 0 {
		err = errors.New(url + " answered nothing")
	}
	return done.Load(), err
}

// addressOf returns host and port of a contender's URL.
func (s *stage) addressOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	addr, _, _ := strings.Cut(rest, "/")
	return addr
}

// exchange makes one request on a connection of its own.
func exchange(addr string, cfg *tls.Config) (resumed bool, err error) {
	nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return false, err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	tc := tls.Client(nc, cfg)
	if _, err := io.WriteString(tc, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return false, err
	}
	answer, err := io.ReadAll(tc)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		err = fmt.Errorf("%s answered %.100q", addr, answer)
	}
	return tc.ConnectionState().DidResume, err
}
