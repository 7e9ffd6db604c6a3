package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/event"
)

// certificates holds the certificates of the open listeners, by the name of the listener.
type certificates struct {
	log  *slog.Logger
	acme *automatic // nil: the node has no data folder
	mu   sync.Mutex
	sets map[string]*certs.Set

	services map[string]*backend // by the id of the service
}

// load reads the certificates of listeners with TLS. A listener whose settings did not change keeps its set, and with it
// the sessions that clients resume.
func (c *certificates) load(listeners []config.Listener) (map[string]*certs.Set, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]*certs.Set{}
	var bad []error
	for _, l := range listeners {
		if l.TLS == nil {
			continue
		}
		want := certsOf(l, c.log)
		if err := c.acme.await(l, &want); err != nil {
			bad = append(bad, fmt.Errorf("listener %s: tls.acme: %w", l.Name, err))
			continue
		}
		if open := c.sets[l.Name]; open != nil && open.Config().Same(want) {
			open.Refresh()
			out[l.Name] = open
			continue
		}
		set, err := certs.Load(want)
		if err != nil {
			bad = append(bad, fmt.Errorf("listener %s: tls: %w", l.Name, err))
			continue
		}
		out[l.Name] = set
	}
	return out, errors.Join(bad...)
}

// certsOf converts the settings of a checked listener.
func certsOf(l config.Listener, log *slog.Logger) certs.Config {
	out := certs.Config{MinVersion: tls.VersionTLS12, Protocols: []string{"h2", "http/1.1", "http/1.0"}, Log: log.With("listener", l.Name)}
	if l.HTTP1Only {
		out.Protocols = out.Protocols[1:]
	}
	if l.TLS.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	out.TicketKeys = l.TLS.TicketKeys
	if auth := clientAuths[l.TLS.Clients.Mode]; auth != tls.NoClientCert {
		out.ClientAuth, out.ClientCA = auth, l.TLS.Clients.CA
	}
	for _, f := range l.TLS.Certificates {
		out.Pairs = append(out.Pairs, certs.Pair{Cert: f.Cert, Key: f.Key})
	}
	return out
}

// clientAuths are the modes of client certificates.
var clientAuths = map[string]tls.ClientAuthType{"request": tls.VerifyClientCertIfGiven, "require": tls.RequireAndVerifyClientCert}

// hsts returns the value of Strict-Transport-Security (RFC 6797 §6.1), "" if responses keep the field of the instance.
func hsts(t config.ListenerTLS) string {
	if t.HSTS == nil {
		return ""
	}
	value := fmt.Sprintf("max-age=%d", *t.HSTS/time.Second)
	if t.HSTSSubDomains {
		value += "; includeSubDomains"
	}
	return value
}

// serve makes sets those of the open listeners.
func (c *certificates) serve(sets map[string]*certs.Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets = sets
}

// current returns the sets of the open listeners, by name. The map must not be changed.
func (c *certificates) current() map[string]*certs.Set {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.sets)
}

// problems returns the files of the open listeners and of the services that need an operator, in the order of their names.
func (c *certificates) problems(now time.Time) (out []event.Certificate) {
	sets, failed := c.current(), c.acme.problems()
	for _, listener := range slices.Sorted(maps.Keys(sets)) {
		seen := map[string]bool{} // one file may be named twice
		for _, s := range sets[listener].Status() {
			if seen[s.File] {
				continue
			}
			seen[s.File] = true
			if s.ExpiresSoon(now) {
				out = append(out, event.Certificate{Listener: listener, File: s.File, Expires: readable.Moment(s.Expires)})
			}
			if s.Bad != nil {
				out = append(out, event.Certificate{Listener: listener, File: s.File, Refused: s.Bad.Error()})
			}
			if p, ok := failed[s.File]; ok {
				out = append(out, event.Certificate{Listener: listener, File: s.File, Order: p.Err.Error(), Retry: readable.Moment(p.Retry)})
			}
		}
	}
	backends := c.backends()
	for _, service := range slices.Sorted(maps.Keys(backends)) {
		for _, s := range backends[service].files.Status() {
			if s.ExpiresSoon(now) {
				out = append(out, event.Certificate{Service: service, File: s.File, Expires: readable.Moment(s.Expires)})
			}
			if s.Bad != nil {
				out = append(out, event.Certificate{Service: service, File: s.File, Refused: s.Bad.Error()})
			}
		}
	}
	return out
}

// certificatePace is the time between two looks at the files. A look costs two stat calls for each certificate.
const certificatePace = 2 * time.Second

// run takes over changed files until ctx ends.
func (c *certificates) run(ctx context.Context) error {
	tick := time.NewTicker(certificatePace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, set := range c.current() {
			set.Refresh()
		}
		for _, b := range c.backends() {
			b.files.Refresh()
		}
	}
}
