package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var cpus = runtime.NumCPU()

const (
	pace    = time.Second      // between two steps of a slow client
	arrival = 10 * time.Second // of all slow clients: the time of a head, so that heads end at all times, and not in waves
	large   = 8 << 20          // bytes of a response for slow readers
	small   = "hello\n"
)

// beInstance answers /bench with a short text, /large with a large one, and reads bodies. Its sockets have small buffers, so
// that slow readers do not fill the memory of the kernel.
func beInstance(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/bench", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, small) })
	mux.HandleFunc("/body", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(large))
		piece := make([]byte, 16<<10)
		for n := 0; n < large; n += len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	s := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: time.Minute, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		return ctx
	}}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// beSlow is n slow clients until ctx ends. A client whose connection ends comes again.
func beSlow(ctx context.Context, addr string, n int) error {
	kinds := []func(context.Context, net.Conn){slowHead, slowBody, slowReader}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if wait(ctx, arrival*time.Duration(i)/time.Duration(n)) != nil {
				return
			}
			for ctx.Err() == nil {
				c, err := slowDialer.DialContext(ctx, "tcp", addr)
				if err != nil {
					_ = wait(ctx, pace)
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				kinds[i%len(kinds)](ctx, c)
				stop()
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	return nil
}

// slowDialer makes connections like those of a network: small segments, and a small buffer for what arrives.
var slowDialer = net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) (err error) {
	outer := raw.Control(func(fd uintptr) {
		err = errors.Join(syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1448), syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096))
	})
	return errors.Join(err, outer)
}}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func slowHead(ctx context.Context, c net.Conn) {
	drip(ctx, c, "GET /bench HTTP/1.1\r\nHost: bench.example\r\nX-Slow: "+strings.Repeat("x", 4000))
}

func slowBody(ctx context.Context, c net.Conn) {
	if _, err := io.WriteString(c, "POST /body HTTP/1.1\r\nHost: bench.example\r\nContent-Length: 1000000\r\n\r\n"); err == nil {
		drip(ctx, c, strings.Repeat("x", 4000))
	}
}

// drip sends a byte at a time.
func drip(ctx context.Context, c net.Conn, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil || wait(ctx, pace) != nil {
			return
		}
	}
}

func slowReader(ctx context.Context, c net.Conn) {
	if _, err := io.WriteString(c, "GET /large HTTP/1.1\r\nHost: bench.example\r\n\r\n"); err != nil {
		return
	}
	for buf := make([]byte, 1<<10); ; {
		if _, err := io.ReadFull(c, buf); err != nil || wait(ctx, pace) != nil {
			return
		}
	}
}

// await waits until a proxy has at least want connections of clients, and the other proxy those of the healthy clients at most.
func (s *stage) await(ctx context.Context, attacked, want int) error {
	const healthy = 200
	for range 600 {
		n, err := s.open(ctx, attacked)
		if err != nil {
			return err
		}
		other, err := s.open(ctx, 1-attacked)
		if err != nil {
			return err
		}
		if n >= want && other < healthy && (want > 0 || n < healthy) {
			return wait(ctx, time.Second)
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("waited in vain for %d connections of slow clients (see slow.log)", want)
}

// open returns the connections of clients that a proxy has.
func (s *stage) open(ctx context.Context, proxy int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin[proxy]+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "smartlb_connections_open "); ok {
			n, err := strconv.ParseFloat(value, 64)
			return int(n), err
		}
	}
	return 0, errors.New("/metrics has no smartlb_connections_open")
}
