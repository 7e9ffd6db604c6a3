package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/clienttls"
	"github.com/smartlb/smartlb/internal/control/config"
)

// newSources returns the sources of a service in the order in which they count, each with its name. It reads the files of
// the logins.
func newSources(service string, d config.Discovery, cfg Config) (names []string, all []source, err error) {
	node := cfg.Node
	if f := d.File; f != nil {
		if node.Folder == "" {
			return nil, nil, errors.New("discovery.file: this node has no discovery.folder, below which the file would be")
		}
		names, all = append(names, "file "+f.Path), append(all, fileSource{folder: filepath.Clean(node.Folder), name: f.Path, most: d.MaxInstances})
	}
	if h := d.HTTP; h != nil {
		s := httpSource{url: h.URL, interval: h.Interval, timeout: h.Timeout, most: d.MaxInstances}
		if s.server, err = newServer(h.URL, node.Logins); err != nil {
			return nil, nil, err
		}
		names, all = append(names, "http "+shown(h.URL)), append(all, s)
	}
	if n := d.DNS; n != nil {
		s := dnsSource{name: n.Name, srv: n.Type == "srv", port: n.Port, resolvers: n.Resolvers, interval: n.Interval, timeout: n.Timeout, most: d.MaxInstances}
		names, all = append(names, "dns "+n.Name+dnsKind(*n)), append(all, s)
	}
	if n := d.Consul; n != nil {
		s := consulSource{address: n.Address, service: n.Service, tags: n.Tags, datacenter: n.Datacenter, wait: n.Wait, timeout: n.Timeout, most: d.MaxInstances}
		if s.server, err = newServer(n.Address, node.Logins); err != nil {
			return nil, nil, err
		}
		names, all = append(names, "consul "+s.query(0)), append(all, s)
	}
	if k := d.Kubernetes; k != nil {
		s := kubernetesSource{namespace: k.Namespace, service: k.Service, port: k.Port, wait: k.Wait, timeout: k.Timeout, most: d.MaxInstances, nodes: cfg.nodes}
		if s.access, err = NewKubernetesAccess(node.Kubernetes); err != nil {
			return nil, nil, err
		}
		names, all = append(names, kubernetesName(k.Namespace, k.Service, k.Port)), append(all, s)
	}
	if d.Kafka != nil {
		if cfg.Registrations == nil {
			return nil, nil, errors.New("discovery.kafka: this node runs without Kafka")
		}
		bounds := Bounds{Most: d.MaxInstances, Allow: d.Allow, Own: cfg.Own}
		names = append(names, sourceKafka)
		all = append(all, kafkaSource{service: service, registrations: cfg.Registrations, bounds: bounds, ports: newPorts(d.Kafka.Ports), signed: d.Kafka.RequireSignature})
	}
	return names, all, nil
}

// keyOf identifies what a source asks. A query may hold a secret, so the key is a digest.
func keyOf(d config.Discovery, name string) string {
	if d.HTTP != nil && name == "http "+shown(d.HTTP.URL) {
		name = "http " + d.HTTP.URL
	}
	digest := sha256.Sum256([]byte(name))
	return hex.EncodeToString(digest[:])
}

// sourceKafka is the name of the source of instances that register themselves.
const sourceKafka = "kafka"

// dnsKind tells the sources of two kinds of records of one name apart.
func dnsKind(n config.DNSDiscovery) string {
	if n.Type == "srv" {
		return " SRV"
	}
	return ":" + strconv.Itoa(n.Port)
}

// shown returns a URL without its query, which may hold a secret.
func shown(address string) string {
	address, _, query := strings.Cut(address, "?")
	if query {
		address += "?..."
	}
	return address
}

// newServer returns the server of a URL with what the node needs to log in.
func newServer(address string, logins []config.DiscoveryLogin) (server, error) {
	var login config.DiscoveryLogin
	for _, l := range logins {
		if sameOrigin(l.Server, address) {
			login = l
		}
	}
	encryption, err := clienttls.Files{CA: login.CA, Cert: login.Cert, Key: login.Key}.Config()
	if err != nil {
		return server{}, fmt.Errorf("discovery.logins: server %s: %w", login.Server, err)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: encryption, ForceAttemptHTTP2: true, MaxConnsPerHost: 1,
		IdleConnTimeout: 2 * time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
	return server{headers: login.Headers, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers are for this server only
	}}, nil
}

func sameOrigin(a, b string) bool {
	one, err := url.Parse(a)
	if err != nil {
		return false
	}
	other, err := url.Parse(b)
	return err == nil && config.Origin(one) == config.Origin(other)
}
