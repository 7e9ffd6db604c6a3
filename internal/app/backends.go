package app

import (
	"errors"
	"fmt"
	"maps"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// backend is the TLS of the connections to the instances of a service.
type backend struct {
	files  *certs.Client
	secure *upstream.TLS
}

// tls returns the security of connections, nil if b is nil.
func (b *backend) tls() *upstream.TLS {
	if b == nil {
		return nil
	}
	return b.secure
}

// loadServices reads the TLS files of services. A service whose settings did not change keeps its connections.
func (c *certificates) loadServices(services []config.Service) (map[string]*backend, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]*backend{}
	var bad []error
	for _, s := range services {
		if s.TLS == nil {
			continue
		}
		want := backendOf(s)
		if have := c.services[s.ID]; have != nil && have.files.Config() == want {
			have.files.Refresh()
			out[s.ID] = have
			continue
		}
		log := c.log.With("service", s.ID)
		files, err := certs.LoadClient(want, log)
		if err != nil {
			bad = append(bad, fmt.Errorf("service %s: tls: %w", s.ID, err))
			continue
		}
		if want.Insecure {
			log.Warn("the certificates of the instances are not verified (insecure: true)")
		}
		out[s.ID] = &backend{files: files, secure: &upstream.TLS{Config: files.TLS}}
	}
	return out, errors.Join(bad...)
}

// backendOf converts the settings of a checked service.
func backendOf(s config.Service) certs.ClientConfig {
	out := certs.ClientConfig{CA: s.TLS.CA, Pair: certs.Pair{Cert: s.TLS.Cert, Key: s.TLS.Key}, ServerName: s.TLS.ServerName, Insecure: s.TLS.Insecure, Protocol: "http/1.1"}
	if s.HTTP2() {
		out.Protocol = "h2"
	}
	return out
}

// serveServices makes all the TLS of the services.
func (c *certificates) serveServices(all map[string]*backend) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services = all
}

// backends returns the TLS of the services, by id.
func (c *certificates) backends() map[string]*backend {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.services)
}
