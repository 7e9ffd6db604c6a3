package config

import (
	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
)

// AccessLog says what the lines of the access log are, and which requests have one.
type AccessLog struct {
	// `json` (one JSON object per line), `combined` or `common` (as nginx writes them), or a template with variables such
	// as `${client} ${status} ${path}`, at most 4096 bytes; default json
	Format LineFormat `yaml:"format"`
	// fields of the JSON objects, in their order, at most once each. Only with `format: json`; default the standard fields
	Fields []string `yaml:"fields"`
	// share of the requests that are logged, 0 to 1. Requests with a status from 500, and those that failed, are always
	// logged; default 1
	Sample float64 `yaml:"sample"`
	// log only requests with a status from 400, and those that failed. `sample` is then the share of those with a status
	// from 400 to 499; default false
	ErrorsOnly bool `yaml:"errorsOnly"`
	// also send each logged request to the topic access-logs, with the standard fields whatever `format` and `fields` are,
	// and also without `proxy.accessLog`. The messages hold addresses of clients and queries; default false
	Kafka bool `yaml:"kafka"`
}

// LineFormat is the name or the template of the lines of the access log. It may have variables.
type LineFormat string

// Compile returns the format of the lines.
func (a AccessLog) Compile() (*accesslog.Format, error) {
	if len(a.Fields) > 0 {
		return accesslog.Chosen(a.Fields)
	}
	return accesslog.Parse(string(a.Format))
}

// Filter returns which exchanges are logged.
func (a AccessLog) Filter() accesslog.Filter { return accesslog.Sampled(a.Sample, a.ErrorsOnly) }

func (c *checker) accessLog(at string, a AccessLog) {
	if _, err := accesslog.Parse(string(a.Format)); a.Format == "" {
		c.fail(at+".format", "missing: want json, combined or common, or a template with variables such as ${client}")
	} else if err != nil {
		c.fail(at+".format", "%v", err)
	}
	switch _, err := accesslog.Chosen(a.Fields); {
	case len(a.Fields) > 0 && a.Format != accesslog.JSON:
		c.fail(at+".fields", "only the format json has fields, the format is %q", string(a.Format))
	case err != nil:
		c.fail(at+".fields", "%v", err)
	}
	if a.Sample < 0 || a.Sample > 1 {
		c.fail(at+".sample", "want 0 to 1, got %v", a.Sample)
	}
}
