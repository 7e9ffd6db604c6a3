package config

import "github.com/smartlb/smartlb/internal/dataplane/dispatch"

// LoadReports says where the load of the instances is read from, besides the messages that they send to Kafka themselves.
type LoadReports struct {
	ORCA *ORCA `yaml:"orca"` // reports in the responses of the instances, as gRPC, Envoy and model servers know them; default not read
}

// ORCA configures the reading of load reports in responses.
type ORCA struct {
	// whether the reports reach clients: with `true` the proxy removes the headers and trailers `endpoint-load-metrics` and
	// `endpoint-load-metrics-bin`; default true
	Strip bool `yaml:"strip"`
}

func (l *LoadReports) fill(path string, given func(string) bool) {
	if l.ORCA != nil {
		orDefault(&l.ORCA.Strip, true, given(path+".orca.strip"))
	}
}

func (c *checker) loadReports(path string, l *LoadReports) {
	if l != nil && *l == (LoadReports{}) {
		c.fail(path, "has no effect: want orca")
	}
}

// orca returns what the proxy does with load reports in the responses of a service.
func (s Service) orca() dispatch.LoadReports {
	if s.LoadReports == nil || s.LoadReports.ORCA == nil {
		return dispatch.LoadReports{}
	}
	return dispatch.LoadReports{Read: true, Strip: s.LoadReports.ORCA.Strip}
}
