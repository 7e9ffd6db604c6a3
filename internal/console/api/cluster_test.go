package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// cluster has one broker with all its optional fields, and trouble; bare has
// nothing.
type cluster struct{ bare bool }

func (c cluster) Cluster(context.Context) (browse.Cluster, error) {
	if c.bare {
		return browse.Cluster{Cluster: admin.Cluster{Controller: -1, Troubled: []admin.Troubled{}}, Brokers: []browse.Broker{}}, nil
	}
	b := admin.Broker{ID: 1, Address: "localhost:1", Rack: "r", Controller: true, Leaders: 1, Replicas: 2, Bytes: 3, Version: "v3.9", Embedded: true,
		Dirs: []admin.LogDir{{Path: "/data", Bytes: 3, Partitions: 2, Free: -1, Total: -1, Error: "no"}}}
	return browse.Cluster{
		Cluster: admin.Cluster{ID: "c", Version: "v3.9", Controller: 1, Topics: 1, Partitions: 2, Offline: 1, UnderReplicated: 1,
			Troubled: []admin.Troubled{{Topic: "alerts", Leader: -1, Replicas: []int32{1}, InSync: []int32{}}}},
		Brokers:   []browse.Broker{{Broker: b, Latency: browse.Latency{LastMs: some(.5), P50Ms: some(.4), P99Ms: some(9.0)}}},
		ZooKeeper: &browse.OtherService{Address: "localhost:2", Version: "3.8.4", Mode: "standalone", LatencyMs: some(1.5)},
		Connect:   &browse.OtherService{Address: "localhost:3", Problem: "nothing listens there"},
	}, nil
}

func (c cluster) BrokerHistory(context.Context, int32) (browse.BrokerHistory, error) {
	return browse.BrokerHistory{Latency: browse.Series{From: noon, StepMs: 5000, Points: []*float64{some(.5), nil}}}, nil
}

func (c cluster) BrokerSettings(_ context.Context, broker int32) ([]admin.Setting, error) {
	if broker != 1 {
		return nil, fmt.Errorf("%w %d; there are [1]", admin.ErrNoBroker, broker)
	}
	if c.bare {
		return nil, nil
	}
	return []admin.Setting{{Name: "log.dirs", Value: "/data", Human: "/data", Source: "file", ReadOnly: true}, {Name: "ssl.key.password", Source: "file", Sensitive: true}}, nil
}

func (c cluster) Health(_ context.Context, _ bool) (browse.Health, error) {
	if c.bare {
		return browse.Health{Report: doctor.Report{Healthy: true, Checks: []doctor.Check{}}, At: noon}, nil
	}
	return browse.Health{At: noon, TookMs: 12.5, Report: doctor.Report{Checks: []doctor.Check{
		{ID: "leaderless", Group: doctor.GroupReplicas, Status: doctor.Problem, Found: "partitions without a leader", Cause: "a broker is down", Fix: "start it"},
		{ID: "kafka", Group: doctor.GroupKafka, Status: doctor.OK, Found: "it answers"},
	}}}, nil
}

// clusterCalls belong to calls.
var clusterCalls = []apiCall{
	{"GET", "/api/v1/cluster", "/api/v1/cluster", ""},
	{"GET", "/api/v1/brokers/{broker}/history", "/api/v1/brokers/1/history", ""},
	{"GET", "/api/v1/brokers/{broker}/settings", "/api/v1/brokers/1/settings", ""},
	{"GET", "/api/v1/health", "/api/v1/health?fresh=true", ""},
}

func TestBrokersThatAreNotThere(t *testing.T) {
	for target, says := range map[string]string{
		"/api/v1/brokers/7/settings":                   "there is no broker 7; there are [1]",
		"/api/v1/brokers/one/settings":                 "brokers have numbers",
		"/api/v1/brokers/-1/history":                   "brokers have numbers",
		"/api/v1/brokers/99999999999999999999/history": "brokers have numbers",
	} {
		if status, _, body := call(full(), "GET", target, ""); status != 404 || !strings.Contains(string(body), says) {
			t.Errorf("%s: %d %s", target, status, body)
		}
	}
}
