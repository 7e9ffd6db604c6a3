// Package openload sends requests at given times, whatever became of those before: an open load. The latency of an answer
// counts from the time at which its request was meant to be sent, so a server that stops for a while cannot hide it.
package openload

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// Answer is one request: when it was meant to be sent, how long after that its answer was whole, and what the instance said
// of it in the header X-Bench ("instance service mean", times in nanoseconds). Status 0: no answer.
type Answer struct {
	Intended, Latency, Lag time.Duration // Lag: how late the harness handed it to a connection
	Service, Mean          time.Duration
	Instance, Status       int
}

// generator sends requests at intended times, whatever became of those before:
// a request that finds no idle connection gets a new one.
type generator struct {
	addr    string
	start   time.Time
	mu      sync.Mutex
	idle    []*client
	over    bool
	answers []Answer
	running sync.WaitGroup
}

// exchangeTimeout bounds one exchange; every balancer gives up after 2 s.
const exchangeTimeout = 10 * time.Second

// Run sends one GET to addr at each time of schedule after start, and returns when all have ended. Each exchange is given up
// after 10 s.
func Run(ctx context.Context, addr string, start time.Time, schedule []time.Duration) ([]Answer, error) {
	g := &generator{addr: addr, start: start, answers: make([]Answer, len(schedule))}
	clock, err := NewAlarm()
	if err != nil {
		return nil, err
	}
	defer clock.Close()
	for i, at := range schedule {
		if err := clock.Sleep(at - time.Since(start)); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			break
		}
		g.answers[i].Intended = at
		g.hand(i)
	}
	g.mu.Lock()
	for _, c := range g.idle {
		close(c.next)
	}
	g.idle, g.over = nil, true // those under way end when their answer is there
	g.mu.Unlock()
	g.running.Wait()
	return g.answers, ctx.Err()
}

// hand gives request i to the connection used last, or to a new one.
func (g *generator) hand(i int) {
	g.mu.Lock()
	var c *client
	if n := len(g.idle); n > 0 {
		c, g.idle = g.idle[n-1], g.idle[:n-1]
	}
	g.mu.Unlock()
	if c == nil {
		c = &client{g: g, next: make(chan int, 1)}
		g.running.Go(c.loop)
	}
	c.next <- i
}

// client is one connection to the balancer, dialled again when it broke.
type client struct {
	g    *generator
	next chan int // request to send; closed: end
	conn net.Conn
	r    *bufio.Reader
}

func (c *client) loop() {
	defer c.drop()
	for i := range c.next {
		a := &c.g.answers[i]
		a.Lag = time.Since(c.g.start) - a.Intended
		if err := c.exchange(a); err != nil {
			a.Status = 0
			c.drop()
		}
		a.Latency = time.Since(c.g.start) - a.Intended
		if !c.g.back(c) {
			return
		}
	}
}

// back returns a connection, and says whether it may be used again.
func (g *generator) back(c *client) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return false
	}
	g.idle = append(g.idle, c)
	return true
}

func (c *client) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

var request = []byte("GET /bench HTTP/1.1\r\nHost: bench.example\r\n\r\n")

func (c *client) exchange(a *Answer) (err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.g.addr, time.Second); err != nil {
			return err
		}
		c.r = bufio.NewReader(c.conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	ends, err := c.read(a)
	if err == nil && ends {
		c.drop()
	}
	return err
}

// read takes one response and says whether the connection ends with it.
func (c *client) read(a *Answer) (ends bool, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	if len(line) < 12 {
		return false, fmt.Errorf("status line %q", line)
	}
	if a.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return false, err
	}
	length := -1
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return false, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(bytes.ToLower(name)) {
		case "content-length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return false, err
			}
		case "connection":
			ends = bytes.EqualFold(value, []byte("close"))
		case "x-bench":
			if _, err := fmt.Sscanf(string(value), "%d %d %d", &a.Instance, &a.Service, &a.Mean); err != nil {
				return false, err
			}
		}
	}
	if length < 0 { // the body ends with the connection
		for {
			if _, err := c.r.ReadByte(); err != nil {
				return true, nil
			}
		}
	}
	_, err = c.r.Discard(length)
	return ends, err
}
