package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// outcome is a request that failed.
type outcome struct {
	client, method, path string
	sent, done           time.Time
	status               int
	partly               bool // the client had a part of the response
	err                  error
}

func (o outcome) String() string {
	return fmt.Sprintf("%s: %s %s, sent %s, took %s: status %d, %v", o.client, o.method, o.path, o.sent.Format("15:04:05.000"), o.done.Sub(o.sent).Round(time.Millisecond), o.status, o.err)
}

// client sends requests to one listener in one way.
type client struct {
	name, url string
	slots     chan struct{} // of the requests in flight on its node
	*http.Client
}

// clientsOf returns the clients of a node: kept connections, new connections, TLS, HTTP/2 with and without TLS. A load
// has at most inFlight requests in flight on the node.
func clientsOf(n *node, ca *certtest.Authority, inFlight int) (clients []*client) {
	slots := make(chan struct{}, inFlight)
	for _, k := range []struct {
		name    string
		tls, h2 bool
		short   bool // each request has a connection of its own
	}{
		{name: "HTTP/1.1"}, {name: "HTTP/1.1, new connections", short: true}, {name: "HTTP/1.1, TLS", tls: true}, {name: "HTTP/2, TLS", tls: true, h2: true}, {name: "HTTP/2", h2: true},
	} {
		url := "http://" + n.web
		if k.tls {
			url = "https://" + n.secure
		}
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!k.h2)
		protocols.SetHTTP2(k.h2 && k.tls)
		protocols.SetUnencryptedHTTP2(k.h2 && !k.tls)
		// Below the time that a node keeps idle connections: a POST on a connection that the node closes at the same moment
		// would fail, and no proxy can prevent that.
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, Protocols: protocols, DisableKeepAlives: k.short, MaxIdleConnsPerHost: inFlight, IdleConnTimeout: 5 * time.Second}
		clients = append(clients, &client{n.name + ", " + k.name, url, slots, &http.Client{Transport: transport, Timeout: maxWait}})
	}
	return clients
}

// load sends requests to all clients in turn. It is safe for concurrent use.
type load struct {
	clients []*client
	next    atomic.Uint64 // number of the next request
	ok      atomic.Int64
	late    atomic.Int64 // due, and not sent: too many requests were in flight

	mu       sync.Mutex
	failures []outcome
	posted   map[uint64]bool // the POST requests that were answered with 200
	times    []time.Duration // of the requests that were answered
}

// due returns the number of the next request and its client.
func (l *load) due() (i uint64, c *client) {
	i = l.next.Add(1)
	return i, l.clients[i%uint64(len(l.clients))]
}

// send sends request i. Of ten, two are POST with their number as body, one asks for a large body.
func (l *load) send(i uint64, c *client) {
	o := outcome{client: c.name, method: http.MethodGet, path: "/small", sent: time.Now()}
	var body io.Reader
	switch i / uint64(len(l.clients)) % 10 {
	case 0, 5:
		o.method, o.path = http.MethodPost, "/post"
		body = bytes.NewReader(binary.BigEndian.AppendUint64(nil, i))
	case 7:
		o.path = "/large"
	}
	o.err = l.exchange(c, &o, body)
	o.done = time.Now()
	if o.err == nil {
		l.ok.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.err != nil {
		l.failures = append(l.failures, o)
		return
	}
	l.times = append(l.times, o.done.Sub(o.sent))
	if o.method == http.MethodPost {
		l.posted[i] = true
	}
}

// latency describes the times of the requests that were answered.
func (l *load) latency() string {
	slices.Sort(l.times)
	at := func(share float64) time.Duration {
		return l.times[int(share*float64(len(l.times)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("median %s, p99 %s, p99.9 %s, longest %s", at(.5), at(.99), at(.999), at(1))
}

func (l *load) exchange(c *client, o *outcome, body io.Reader) error {
	req, err := http.NewRequest(o.method, c.url+o.path, body)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	o.status = resp.StatusCode
	text, err := io.ReadAll(resp.Body)
	want := 2
	if o.path == "/large" {
		want = largeBody
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%.200s", text)
	case err != nil:
		o.partly = true
		return err
	case len(text) != want:
		return fmt.Errorf("%d bytes, want %d", len(text), want)
	}
	return nil
}

// capacity measures how many requests per second the machine handles with a fixed number of requests in flight.
func (l *load) capacity(t *testing.T, during time.Duration) float64 {
	t.Helper()
	began, before := time.Now(), l.ok.Load()
	var group sync.WaitGroup
	for range 4 * len(l.clients) {
		group.Go(func() {
			for time.Since(began) < during {
				l.send(l.due())
			}
		})
	}
	group.Wait()
	return float64(l.ok.Load()-before) / time.Since(began).Seconds()
}

// run sends requests at random times, rate per second on average, until ctx ends. Whether the requests before it were
// answered makes no difference. It returns when all have ended.
func (l *load) run(ctx context.Context, rate float64) {
	var group sync.WaitGroup
	defer group.Wait()
	for due := time.Now(); ; {
		due = due.Add(time.Duration(rand.ExpFloat64() / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		i, c := l.due()
		select {
		case <-ctx.Done():
			return
		case c.slots <- struct{}{}:
			group.Go(func() {
				defer func() { <-c.slots }()
				l.send(i, c)
			})
		default:
			l.late.Add(1)
		}
	}
}

// closeIdle closes the connections of all clients that are not in use.
func (l *load) closeIdle() {
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
}

// kill is the time of a kill: before the signal, when the address refused connections, and when all nodes had taken the
// instance out of rotation.
type kill struct{ from, dead, out time.Time }

const aboveBudget = "above the retry budget, 502"

// judge returns the failures that no kill explains, and the number of the others by kind.
func (l *load) judge(kills []kill) (unexplained []error, excused map[string]int) {
	excused = map[string]int{}
	for _, o := range l.failures {
		inFlight, inRotation := false, false
		for _, k := range kills {
			inFlight = inFlight || (!o.sent.After(k.dead) && !o.done.Before(k.from))
			inRotation = inRotation || (!o.sent.After(k.out) && !o.done.Before(k.from))
		}
		switch {
		case inFlight && o.method == http.MethodPost && o.status == http.StatusBadGateway:
			excused["POST in flight, 502"]++
		case inFlight && o.partly:
			excused["response broken off"]++
		case inRotation && o.status == http.StatusBadGateway:
			excused[aboveBudget]++
		default:
			unexplained = append(unexplained, errors.New(o.String()))
		}
	}
	return unexplained, excused
}
