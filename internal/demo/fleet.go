package demo

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Instance is one demo process.
type Instance struct {
	Service, ID, Addr string
	Latency           time.Duration // mean service time
	Workers           int
}

// Group is one demo service.
type Group struct {
	Service, Prefix string
	Rate            float64 // requests per second of the gentle load
	Instances       []Instance
}

// Workers is the number of requests that a demo instance serves concurrently; further requests wait.
const Workers = 8

// Fleet returns the three services of the demo. Their ports are 9001-9004 for users, 9011-9014 for orders and 9021-9023
// for catalog, each plus offset.
func Fleet(offset int) []Group {
	return []Group{
		group("user-service", "/users", 9001+offset, 8, 200, 250, 300, 400),
		group("order-service", "/orders", 9011+offset, 7, 150, 200, 250, 300),
		group("catalog-service", "/catalog", 9021+offset, 5, 150, 200, 250),
	}
}

func group(service, prefix string, port int, rate float64, latencies ...int) Group {
	g := Group{Service: service, Prefix: prefix, Rate: rate}
	for i, ms := range latencies {
		g.Instances = append(g.Instances, Instance{
			Service: service, ID: fmt.Sprintf("%s-%d", service, i+1), Addr: net.JoinHostPort("127.0.0.1", fmt.Sprint(port+i)),
			Latency: time.Duration(ms) * time.Millisecond, Workers: Workers,
		})
	}
	return g
}

// mark is the first line of every Traffic document of a demo.
const mark = "# The demo's traffic, written by smartlb up --demo.\n"

// IsTraffic reports whether Traffic wrote a document.
func IsTraffic(document []byte) bool { return strings.HasPrefix(string(document), mark) }

// Traffic returns the Traffic document of a fleet.
func Traffic(fleet []Group, listen string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, mark+"listeners:\n  - {name: web, address: %q}\nroutes:\n", listen)
	for _, g := range fleet {
		fmt.Fprintf(&b, "  - {name: %s, path: {prefix: %s}, service: %s, timeout: 15s}\n", strings.TrimPrefix(g.Prefix, "/"), g.Prefix, g.Service)
	}
	b.WriteString("services:\n")
	for _, g := range fleet {
		fmt.Fprintf(&b, "  - id: %s\n"+policyKey+"adaptive\n    healthCheck: {type: http, path: /health, interval: 2s, timeout: 1s}\n    instances:\n", g.Service)
		for _, in := range g.Instances {
			fmt.Fprintf(&b, "      - {id: %s, address: %q, tags: {environment: demo, region: local}}\n", in.ID, in.Addr)
		}
	}
	return []byte(b.String())
}

// policyKey is the key of a service's policy, in the lines after its id.
const policyKey = "    policy: "

// WithPolicy returns a demo's document with another policy for one service.
func WithPolicy(document []byte, service, policy string) ([]byte, error) {
	if !IsTraffic(document) {
		return nil, errors.New("the current configuration does not belong to the demo; change the policy in that configuration")
	}
	head := "  - id: " + service + "\n" + policyKey
	at := strings.Index(string(document), head)
	if at < 0 {
		return nil, fmt.Errorf("the demo's configuration has no service %q", service)
	}
	before, rest := string(document)[:at+len(head)], string(document)[at+len(head):]
	_, after, _ := strings.Cut(rest, "\n")
	return []byte(before + policy + "\n" + after), nil
}

// RateOf returns the requests per second of a fleet's gentle load.
func RateOf(fleet []Group) (rate float64) {
	for _, g := range fleet {
		rate += g.Rate
	}
	return rate
}
