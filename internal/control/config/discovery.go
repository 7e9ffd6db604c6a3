package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
)

// DiscoveryNode is the access of a node to the sources of instances. Writers of configurations can use it, but neither
// read nor change it.
type DiscoveryNode struct {
	// folder of the files that `services[].discovery.file` names. Without it, a configuration that names a file is refused.
	// Files outside of the folder cannot be read; default none
	Folder string `yaml:"folder"`
	// how the node logs in at servers of `services[].discovery`, at most 32. A server without an entry gets no credentials;
	// default none
	Logins []DiscoveryLogin `yaml:"logins"`
	// how the node logs in at the API server of Kubernetes for `services[].discovery.kubernetes`; default with the service
	// account of the pod in which the node runs
	Kubernetes KubernetesNode `yaml:"kubernetes"`
}

// KubernetesNode is the access of a node to an API server of Kubernetes.
type KubernetesNode struct {
	Kubeconfig string `yaml:"kubeconfig"` // kubeconfig file as kubectl has it. It is read anew after each failure; default none: the service account of the pod
	Context    string `yaml:"context"`    // context of the kubeconfig; default its current one
}

// DiscoveryLogin is how a node connects to one server.
type DiscoveryLogin struct {
	Server  string                `yaml:"server"`  // address of the server without a path, such as `https://registry.example.com:8443`, unique; required
	Headers map[string]secret.Ref `yaml:"headers"` // secret of each header that the server wants, such as `Authorization`, at most 16. They need https, or a server on this machine. The node reads the secrets for each request; default none
	CA      string                `yaml:"ca"`      // PEM file with the certificates of the authorities of the server; default the authorities of the system
	Cert    string                `yaml:"cert"`    // PEM file with the certificate of the node for the server, then its chain. It needs `key`; default none
	Key     string                `yaml:"key"`     // PEM file with the private key of `cert`; default none
}

// Discovery says where the instances of a service are found.
type Discovery struct {
	File   *FileDiscovery   `yaml:"file"`   // a file with targets, as `file_sd_configs` of Prometheus reads it; default none
	HTTP   *HTTPDiscovery   `yaml:"http"`   // a server that lists targets, as `http_sd_configs` of Prometheus reads it; default none
	DNS    *DNSDiscovery    `yaml:"dns"`    // a name with A and AAAA, or SRV records; default none
	Consul *ConsulDiscovery `yaml:"consul"` // a service in the catalog of Consul; default none

	Kubernetes *KubernetesDiscovery `yaml:"kubernetes"` // the endpoints of a service of Kubernetes; default none

	Kafka *KafkaDiscovery `yaml:"kafka"` // instances that register themselves by their messages in Kafka. It needs `allow`; default none

	// networks that the addresses of instances must be in, at most 100. An answer with another address is refused, and so is
	// one with a host name. Without it all addresses are allowed, except those of this machine (loopback), link-local,
	// multicast and unspecified ones; default none
	Allow        []netip.Prefix `yaml:"allow"`
	MaxInstances int            `yaml:"maxInstances"` // most instances of one source, 1 to 10000. A longer answer is refused; default 5000
	// share of the instances that may leave within a minute, 0.01 to 1, but at least one instance. Others that are no longer
	// listed stay until a minute has passed, unless a health check fails, they are ejected, or their end was announced. With
	// less than 1 an empty list removes no instance that works; default 0.5
	MaxLoss float64 `yaml:"maxLoss"`
	// time without a good answer after which the alert discovery-stale fires, 1s to 24h. The instances stay. It must be longer
	// than the intervals of the sources; default 120s
	StaleAfter time.Duration `yaml:"staleAfter"`
}

// Most returns the largest number of instances that all sources together can give a service.
func (d Discovery) Most() int {
	n := 0
	for _, given := range [...]bool{d.File != nil, d.HTTP != nil, d.DNS != nil, d.Consul != nil, d.Kubernetes != nil, d.Kafka != nil} {
		if given {
			n += d.MaxInstances
		}
	}
	return n
}

// FileDiscovery is a file with targets.
type FileDiscovery struct {
	Path string `yaml:"path"` // name of the file below the folder `discovery.folder` of each node, ending in .json, .yaml or .yml. A changed file counts within a second; required
}

// HTTPDiscovery is a server that lists targets.
type HTTPDiscovery struct {
	URL      string        `yaml:"url"`      // address of the list, http:// or https://, at most 2048 bytes. Credentials are in `discovery.logins` of the node; required
	Interval time.Duration `yaml:"interval"` // time between two requests, 1s to 1h. While the server fails, up to eight times as long; default 30s
	Timeout  time.Duration `yaml:"timeout"`  // longest time of one request with its answer, 100ms to 60s; default 10s
}

// DNSDiscovery is a name whose records are the instances.
type DNSDiscovery struct {
	Name string `yaml:"name"` // name to look up, such as `payments.internal` or, with SRV records, `_http._tcp.payments.internal`; required
	// one of `host`, `srv`. With `host`, each A and AAAA record is an instance. With `srv`, each SRV record is one for each
	// address of its target: the records give port and weight, and those with the lowest priority number take the requests,
	// the others are backups; default host
	Type      string        `yaml:"type"`
	Port      int           `yaml:"port"`      // port of the instances, 1 to 65535. Required with `type: host`, and only there; default none
	Resolvers []string      `yaml:"resolvers"` // resolvers as IP:PORT, at most 8, of which the first one that answers counts; default those of the system (/etc/resolv.conf) with its search list
	Interval  time.Duration `yaml:"interval"`  // longest time between two look-ups, 1s to 1h. Records that expire earlier are looked up earlier, at most once a second; default 30s
	Timeout   time.Duration `yaml:"timeout"`   // longest time of one look-up with all its queries, 100ms to 60s; default 5s
}

// ConsulDiscovery is a service in the catalog of Consul. Its instances whose checks all pass are used.
type ConsulDiscovery struct {
	Address    string        `yaml:"address"`    // address of Consul's HTTP API; default http://127.0.0.1:8500
	Service    string        `yaml:"service"`    // name of the service in Consul; required
	Tags       []string      `yaml:"tags"`       // tags that an instance must all have, at most 16; default none
	Datacenter string        `yaml:"datacenter"` // datacenter of the instances; default that of the agent at `address`
	Wait       time.Duration `yaml:"wait"`       // longest time for which Consul waits for a change before it answers, 1s to 10m. A change is answered at once; default 60s
	Timeout    time.Duration `yaml:"timeout"`    // longest time of one request beyond `wait`, 100ms to 60s; default 10s
}

// KubernetesDiscovery is a service of Kubernetes. Its endpoints that are ready are used; those that end drain.
type KubernetesDiscovery struct {
	Service   string        `yaml:"service"`   // name of the service; required
	Namespace string        `yaml:"namespace"` // namespace of the service; default default
	Port      string        `yaml:"port"`      // name of the port in the service, or number of the port of the pods; default the only TCP port
	Wait      time.Duration `yaml:"wait"`      // longest time for which the API server keeps a watch open, 1s to 10m. A change is sent at once; default 60s
	Timeout   time.Duration `yaml:"timeout"`   // longest time of a list, and of a watch beyond `wait`, 100ms to 60s; default 10s
}

// KafkaDiscovery permits instances to register themselves: a message on service-metrics or health-status that names the
// address of its instance.
type KafkaDiscovery struct {
	Ports            []string `yaml:"ports"`            // ports that instances may have, each a port or a range such as `9000-9100`, at most 100; required
	RequireSignature bool     `yaml:"requireSignature"` // only messages that a key of `signing` for the service has signed count; default false
}

// Limits of discovery.
const (
	maxLogins       = 32
	maxLoginHeaders = 16
	maxAllow        = 100
	maxFound        = 10_000 // instances of one source
	standardFound   = 5000
	standardLoss    = .5
)

func (d *Discovery) fill(path string, given func(string) bool) {
	orDefault(&d.MaxInstances, standardFound, given(path+".maxInstances"))
	orDefault(&d.MaxLoss, standardLoss, given(path+".maxLoss"))
	orDefault(&d.StaleAfter, 2*time.Minute, given(path+".staleAfter"))
	if n := d.Consul; n != nil {
		if n.Address == "" {
			n.Address = "http://127.0.0.1:8500"
		}
		orDefault(&n.Wait, time.Minute, given(path+".consul.wait"))
		orDefault(&n.Timeout, 10*time.Second, given(path+".consul.timeout"))
	}
	if n := d.Kubernetes; n != nil {
		if n.Namespace == "" {
			n.Namespace = "default"
		}
		orDefault(&n.Wait, time.Minute, given(path+".kubernetes.wait"))
		orDefault(&n.Timeout, 10*time.Second, given(path+".kubernetes.timeout"))
	}
	if d.DNS != nil {
		if d.DNS.Type == "" {
			d.DNS.Type = "host"
		}
		orDefault(&d.DNS.Interval, 30*time.Second, given(path+".dns.interval"))
		orDefault(&d.DNS.Timeout, 5*time.Second, given(path+".dns.timeout"))
	}
	if d.HTTP != nil {
		orDefault(&d.HTTP.Interval, 30*time.Second, given(path+".http.interval"))
		orDefault(&d.HTTP.Timeout, 10*time.Second, given(path+".http.timeout"))
	}
}

func (c *checker) discovery(path string, d *Discovery) {
	if d == nil {
		return
	}
	if d.Most() == 0 && d.MaxInstances > 0 {
		c.fail(path, "missing: want file, http, dns, consul, kubernetes or kafka")
	}
	c.discoveryConsul(path+".consul", d.Consul)
	c.discoveryKubernetes(path+".kubernetes", d.Kubernetes)
	c.discoveryKafka(path, d)
	c.discoveryDNS(path+".dns", d.DNS)
	if d.File != nil {
		c.discoveryFile(path+".file.path", d.File.Path)
	}
	if h := d.HTTP; h != nil {
		c.link(path+".http.url", h.URL)
		if h.URL == "" {
			c.fail(path+".http.url", "missing: want an address like https://registry.example.com/targets")
		}
		c.span(path+".http.interval", h.Interval, time.Second, time.Hour, "1s", "1h")
		c.span(path+".http.timeout", h.Timeout, 100*time.Millisecond, time.Minute, "100ms", "60s")
	}
	bounded(c, path+".allow", "networks", d.Allow, maxAllow)
	if d.MaxInstances < 1 || d.MaxInstances > maxFound {
		c.fail(path+".maxInstances", "want 1 to %d, got %d", maxFound, d.MaxInstances)
	}
	if !(d.MaxLoss >= .01 && d.MaxLoss <= 1) {
		c.fail(path+".maxLoss", "want 0.01 to 1, got %v", d.MaxLoss)
	}
	c.span(path+".staleAfter", d.StaleAfter, time.Second, 24*time.Hour, "1s", "24h")
	if d.HTTP != nil && d.StaleAfter <= d.HTTP.Interval {
		c.fail(path+".staleAfter", "want more than http.interval, which is %s, got %s", d.HTTP.Interval, d.StaleAfter)
	}
	if d.Consul != nil && d.StaleAfter <= d.Consul.Wait {
		c.fail(path+".staleAfter", "want more than consul.wait, which is %s, got %s", d.Consul.Wait, d.StaleAfter)
	}
	if d.Kubernetes != nil && d.StaleAfter <= d.Kubernetes.Wait {
		c.fail(path+".staleAfter", "want more than kubernetes.wait, which is %s, got %s", d.Kubernetes.Wait, d.StaleAfter)
	}
	if d.DNS != nil && d.StaleAfter <= d.DNS.Interval {
		c.fail(path+".staleAfter", "want more than dns.interval, which is %s, got %s", d.DNS.Interval, d.StaleAfter)
	}
}

// maxConsulTags limits the tags of a query.
const maxConsulTags = 16

func (c *checker) discoveryConsul(path string, d *ConsulDiscovery) {
	if d == nil {
		return
	}
	if u, err := WebAddress(d.Address); err != nil || u.RawQuery != "" {
		c.fail(path+".address", "want an address such as http://127.0.0.1:8500")
	}
	for key, text := range map[string]string{"service": d.Service, "datacenter": d.Datacenter} {
		if len(text) > 128 || hasControl(text) || text == "" && key == "service" {
			c.fail(path+"."+key, "%.200q: want a name of 1 to 128 bytes", text)
		}
	}
	for i, tag := range bounded(c, path+".tags", "tags", d.Tags, maxConsulTags) {
		if tag == "" || len(tag) > 256 || hasControl(tag) {
			c.fail(fmt.Sprintf("%s.tags[%d]", path, i), "%.300q: want a tag of 1 to 256 bytes", tag)
		}
	}
	c.span(path+".wait", d.Wait, time.Second, 10*time.Minute, "1s", "10m")
	c.span(path+".timeout", d.Timeout, 100*time.Millisecond, time.Minute, "100ms", "60s")
}

// kubernetesName is that of a service, a namespace or a port.
var kubernetesName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (c *checker) discoveryKubernetes(path string, d *KubernetesDiscovery) {
	if d == nil {
		return
	}
	for key, text := range map[string]string{"service": d.Service, "namespace": d.Namespace} {
		if !kubernetesName.MatchString(text) {
			c.fail(path+"."+key, "%.100q: want a name of 1 to 63 small letters, digits and dashes, beginning and ending with a letter or digit", text)
		}
	}
	_, _, number := PortRange(d.Port)
	if d.Port != "" && !kubernetesName.MatchString(d.Port) || strings.Trim(d.Port, "0123456789") == "" && d.Port != "" && !number {
		c.fail(path+".port", "%.100q: want the name of a port such as http, or a number from 1 to 65535", d.Port)
	}
	c.span(path+".wait", d.Wait, time.Second, 10*time.Minute, "1s", "10m")
	c.span(path+".timeout", d.Timeout, 100*time.Millisecond, time.Minute, "100ms", "60s")
}

// maxPorts limits the ranges of ports.
const maxPorts = 100

func (c *checker) discoveryKafka(path string, d *Discovery) {
	if d.Kafka == nil {
		return
	}
	if len(d.Allow) == 0 {
		c.fail(path+".allow", "kafka needs it, because any client that may write to the topics names addresses: want the networks of the instances, such as 10.0.0.0/8")
	}
	if n := len(d.Kafka.Ports); n == 0 || n > maxPorts {
		c.fail(path+".kafka.ports", "want 1 to %d ports or ranges of ports, got %d", maxPorts, n)
		return
	}
	for i, text := range d.Kafka.Ports {
		if _, _, ok := PortRange(text); !ok {
			c.fail(fmt.Sprintf("%s.kafka.ports[%d]", path, i), "%.50q: want a port from 1 to 65535, or a range such as 9000-9100", text)
		}
	}
}

// PortRange reads a port or a range of ports.
func PortRange(text string) (first, last int, ok bool) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	a, err := strconv.ParseUint(from, 10, 16)
	b, bad := strconv.ParseUint(to, 10, 16)
	return int(a), int(b), err == nil && bad == nil && a > 0 && a <= b
}

// maxResolvers limits the resolvers of a name.
const maxResolvers = 8

func (c *checker) discoveryDNS(path string, d *DNSDiscovery) {
	if d == nil {
		return
	}
	switch {
	case d.Name == "":
		c.fail(path+".name", "missing: want a name such as payments.internal")
	case len(d.Name) > 253 || !hostPattern.MatchString(d.Name) || net.ParseIP(d.Name) != nil || strings.Contains(d.Name, ".."):
		c.fail(path+".name", "%.300q: want a name such as payments.internal or _http._tcp.payments.internal%s", d.Name, punycode(d.Name))
	}
	c.oneOf(path+".type", d.Type, "host", "srv")
	switch {
	case d.Type == "srv" && d.Port != 0:
		c.fail(path+".port", "has no effect: SRV records give the ports")
	case d.Type == "host" && (d.Port < 1 || d.Port > 65535):
		c.fail(path+".port", "want 1 to 65535, got %d", d.Port)
	}
	for i, r := range bounded(c, path+".resolvers", "resolvers", d.Resolvers, maxResolvers) {
		if a, err := netip.ParseAddrPort(r); err != nil || a.Port() == 0 {
			c.fail(fmt.Sprintf("%s.resolvers[%d]", path, i), "%.100q: want IP:PORT, such as 10.0.0.53:53", r)
		}
	}
	c.span(path+".interval", d.Interval, time.Second, time.Hour, "1s", "1h")
	c.span(path+".timeout", d.Timeout, 100*time.Millisecond, time.Minute, "100ms", "60s")
}

func (c *checker) discoveryFile(at, name string) {
	switch {
	case name == "":
		c.fail(at, "missing: want the name of a file such as payments.json")
	case !filepath.IsLocal(name) || len(name) > 255 || hasControl(name):
		c.fail(at, "%.300q: want the name of a file below the folder discovery.folder, such as payments.json", name)
	case !slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(name)):
		c.fail(at, "%q: want a name that ends in .json, .yaml or .yml", name)
	}
}

func (c *checker) discoveryNode(d DiscoveryNode) {
	if d.Kubernetes.Context != "" && d.Kubernetes.Kubeconfig == "" {
		c.fail("discovery.kubernetes.context", "has no effect without kubeconfig")
	}
	servers := map[string]string{}
	for i, l := range bounded(c, "discovery.logins", "logins", d.Logins, maxLogins) {
		at := fmt.Sprintf("discovery.logins[%d]", i)
		u, err := WebAddress(l.Server)
		switch {
		case err != nil:
			c.fail(at+".server", "%v", err)
			continue
		case u.Path != "" && u.Path != "/" || u.RawQuery != "":
			c.fail(at+".server", "want an address without a path, such as https://%s", u.Host)
		}
		c.unique(at+".server", "server", Origin(u), servers)
		c.loginHeaders(at+".headers", l.Headers, u)
		if (l.Cert == "") != (l.Key == "") {
			c.fail(at+".cert", "cert and key are wanted both, or neither")
		}
		if u.Scheme == "http" && (l.CA != "" || l.Cert != "") {
			c.fail(at+".ca", "has no effect with an http:// address")
		}
	}
}

func (c *checker) loginHeaders(at string, headers map[string]secret.Ref, u *url.URL) {
	if len(headers) > maxLoginHeaders {
		c.fail(at, "%d headers are more than %d", len(headers), maxLoginHeaders)
		return
	}
	for _, name := range keys(headers) {
		if !tokenPattern.MatchString(name) {
			c.fail(at+"."+name, "%q: no header has such a name", name)
		}
		if err := headers[name].Check(); err != nil {
			c.fail(at+"."+name, "%v", err)
		}
	}
	if len(headers) > 0 && u.Scheme != "https" && !thisMachine(u.Hostname()) {
		c.fail(at, "want an https:// server; secrets must not be sent in plain text")
	}
}

// Origin returns scheme, host and port of a URL, each in one spelling.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + sameAddress(net.JoinHostPort(u.Hostname(), port))
}

// Check returns an error if an instance that was found breaks a rule of instances in a document.
func (in Instance) Check() error {
	c := checker{}
	c.instance("", in)
	if len(c.mistakes) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s", c.mistakes[0].Path[1:], c.mistakes[0].Text)
}

// SameAddress returns an address in the spelling that all addresses of the same instance share.
func SameAddress(address string) string { return sameAddress(address) }

// IDs returns the ids of instances in their order.
func IDs(instances []Instance) []string {
	out := make([]string, len(instances))
	for i, in := range instances {
		out[i] = in.ID
	}
	return out
}
