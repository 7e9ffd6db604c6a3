package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/control/config"
)

// consulSource follows a service in the catalog of Consul, by blocking queries of its health endpoint.
type consulSource struct {
	server
	address    string // of the HTTP API
	service    string
	tags       []string // that an instance must all have
	datacenter string   // "": that of the agent
	wait       time.Duration
	timeout    time.Duration
	most       int // instances
}

// consulPace is the shortest time between two queries: a catalog that changes all the time is not asked all the time.
const consulPace = 500 * time.Millisecond

// run asks again as soon as the answer has changed, or after wait.
func (s consulSource) run(ctx context.Context, tell report) {
	defer s.client.CloseIdleConnections()
	index, failures := uint64(0), 0
	for {
		began := time.Now()
		found, next, err := s.ask(ctx, index)
		if ctx.Err() != nil {
			return
		}
		tell(found, err)
		pause := consulPace - time.Since(began)
		if err != nil {
			pause = backoff.Policy{Base: time.Second, Max: s.wait}.Delay(failures, rand.Float64())
			index, failures = 0, failures+1
		} else {
			if failures = 0; next < index {
				next = 0 // the servers were restored from a backup
			}
			index = next
		}
		if pause > 0 && !backoff.Sleep(ctx, pause) {
			return
		}
	}
}

func (s consulSource) ask(ctx context.Context, index uint64) (found []config.Instance, next uint64, err error) {
	limit := s.timeout
	if index > 0 {
		limit += s.wait + s.wait/16 // the longest delay that Consul adds
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	src, header, err := s.get(ctx, s.query(index), "")
	if err != nil {
		return nil, 0, err
	}
	if found, err = parseConsul(src, s.most); err != nil {
		return nil, 0, err
	}
	next, _ = strconv.ParseUint(header.Get("X-Consul-Index"), 10, 64) // without one, the next query does not wait
	return found, next, nil
}

func (s consulSource) query(index uint64) string {
	q := url.Values{"passing": {"1"}, "tag": s.tags}
	if s.datacenter != "" {
		q.Set("dc", s.datacenter)
	}
	if index > 0 {
		q.Set("index", strconv.FormatUint(index, 10))
		q.Set("wait", strconv.FormatInt(s.wait.Milliseconds(), 10)+"ms")
	}
	return strings.TrimRight(s.address, "/") + "/v1/health/service/" + url.PathEscape(s.service) + "?" + q.Encode()
}

// consulEntry is what the health endpoint says of an instance, as far as it is used.
type consulEntry struct {
	Node struct {
		Node, Address, Datacenter string
		Meta                      map[string]string
	}
	Service struct {
		ID, Address string
		Port        int
		Meta        map[string]string
		Weights     struct{ Passing int }
	}
}

// parseConsul reads the answer of the health endpoint. Consul may add fields.
func parseConsul(src []byte, most int) ([]config.Instance, error) {
	var entries []consulEntry
	if err := json.Unmarshal(src, &entries); err != nil {
		return nil, fmt.Errorf("no answer of Consul's health endpoint: %w", err)
	}
	if entries == nil {
		return nil, errors.New("no answer of Consul's health endpoint: want a list, got null")
	}
	if len(entries) > most {
		return nil, fmt.Errorf("%d instances are more than maxInstances, which is %d", len(entries), most)
	}
	out := make([]config.Instance, len(entries))
	for i, e := range entries {
		in, err := e.instance()
		if err != nil {
			return nil, fmt.Errorf("entry %d (service id %.80q on node %.80q): %w", i+1, e.Service.ID, e.Node.Node, err)
		}
		out[i] = in
	}
	return out, nil
}

// instance converts an entry. The id of a service is unique on its node only.
func (e consulEntry) instance() (config.Instance, error) {
	host := e.Service.Address
	if host == "" {
		host = e.Node.Address
	}
	in := config.Instance{ID: idOf(e.Node.Node + ":" + e.Service.ID), Address: net.JoinHostPort(host, strconv.Itoa(e.Service.Port)), Weight: 1, Tags: map[string]string{}}
	if w := e.Service.Weights.Passing; w > 0 {
		in.Weight = float64(w)
	}
	for _, meta := range []map[string]string{e.Node.Meta, e.Service.Meta} { // the service's own count
		for name, value := range meta {
			if strings.HasPrefix(name, "consul-") {
				continue // about Consul itself
			}
			if len(in.Tags) >= maxLabels || !tagText(name) || !tagText(value) {
				return in, fmt.Errorf("want at most %d meta entries of at most %d bytes without control characters", maxLabels, maxLabelValue)
			}
			in.Tags[name] = value
		}
	}
	if !tagText(e.Node.Datacenter) {
		return in, fmt.Errorf("want a datacenter of at most %d bytes without control characters", maxLabelValue)
	}
	if e.Node.Datacenter != "" {
		in.Tags["datacenter"] = e.Node.Datacenter
	}
	return in, in.Check()
}

// idOf replaces the characters that no id has.
func idOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:-", r) {
			return r
		}
		return '-'
	}, s)
}
