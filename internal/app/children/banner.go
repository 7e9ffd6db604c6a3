package children

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func (p *processes) banner(a *app.App, console string, took time.Duration) {
	w := p.o.Out
	proxyAddr := "(no listener yet: publish a configuration with `smartlb config apply FILE`)"
	if open := a.ProxyAddrs(); len(open) > 0 {
		proxyAddr = "http://" + dialable(open[0])
		if upstream.IsUnix(open[0]) {
			proxyAddr = open[0]
		}
	}
	brokers := strings.Join(p.o.Node.Document.Kafka.Brokers, ",")
	note := p.o.KafkaNote
	if !p.o.KafkaGiven {
		note = "embedded: single node, no replication, page-cache durability; no ZooKeeper and no Connect"
	}
	fmt.Fprintf(w, "\nsmartlb %s is up (%.1f s), node %s, data in %s\n\n", p.o.Node.Version, took.Seconds(), a.Node(), p.o.Node.DataDir)
	fmt.Fprintf(w, "  proxy     %s\n", proxyAddr)
	fmt.Fprintf(w, "  console   %s\n", console)
	fmt.Fprintf(w, "  admin     http://%s   (API, /metrics, /healthz, /readyz)\n", a.Addr("admin"))
	fmt.Fprintf(w, "  kafka     %s   (%s)\n", brokers, note)
	if !p.o.WithDemo {
		fmt.Fprintf(w, "\nCtrl-C stops it.\n\n")
		return
	}
	for _, g := range p.fleet {
		first, last := g.Instances[0], g.Instances[len(g.Instances)-1]
		_, port, _ := net.SplitHostPort(last.Addr)
		fmt.Fprintf(w, "  %-9s %s-1..%d behind %s on %s-%s\n", "demo", g.Service, len(g.Instances), g.Prefix, first.Addr, port)
	}
	elsewhere := ""
	if admin := a.Addr("admin"); admin != config.DefaultAdmin {
		elsewhere = "\n  export SMARTLB_ADMIN_ADDRESS=" + admin
	}
	fmt.Fprintf(w, `
Try, in another terminal:%[5]s
  curl -i %[1]s/users/1
  curl -si -H 'X-Smartlb-Explain: 1' %[1]s/users/1 | grep -i x-smartlb-decision
  %[2]s demo break user-service-3 --error-rate 1 --latency 1ms
  %[2]s explain user-service-3
  %[2]s demo heal user-service-3
  kcat -b %[3]s -t service-metrics -C -o -5 -e
and look at %[4]s. Ctrl-C stops everything.

`, proxyAddr, shortPath(p.o.Program), brokers, console, elsewhere)
}

// shortPath returns a path relative to the current directory if it is below it; otherwise it returns the path
// unchanged.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return "./" + rel
}

// dialable converts a wildcard listen address to an address for connections.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
