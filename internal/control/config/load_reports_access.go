package config

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/smartlb/smartlb/internal/base/secret"
)

// ReportTLS is the encryption of connections from collectors to instances. The files are read on each collector.
type ReportTLS struct {
	Enabled    bool `yaml:"enabled"` // whether the port speaks TLS. With `false`, no other key of the section is allowed; default true
	ServiceTLS      // instead of that of the service
}

// reportTLS returns the encryption of connections from collectors, nil for none. own is that of the kind of load reports.
func (s Service) reportTLS(own *ReportTLS) *ServiceTLS {
	switch {
	case own == nil:
		return s.TLS
	case !own.Enabled:
		return nil
	}
	return &own.ServiceTLS
}

// ScrapeTLS returns the encryption of the requests for pages of a service with loadReports.scrape, nil for none.
func (s Service) ScrapeTLS() *ServiceTLS { return s.reportTLS(s.LoadReports.Scrape.TLS) }

// StreamTLS returns the encryption of the streams of a service with loadReports.orca.outOfBand, nil for none.
func (s Service) StreamTLS() *ServiceTLS { return s.reportTLS(s.LoadReports.ORCA.OutOfBand.TLS) }

// ScrapeLogin is the login of a collector at the pages of a service.
type ScrapeLogin struct {
	Service     string     `yaml:"service"`     // `services[].id` of the service, unique among the logins; required
	User        string     `yaml:"user"`        // name of the user (basic authentication), at most 256 bytes without a colon. It needs `password`; default none
	Password    secret.Ref `yaml:"password"`    // password of `user`. The node reads it for each request; default none
	BearerToken secret.Ref `yaml:"bearerToken"` // token of the Authorization header, instead of `user`. The node reads it for each request; default none
}

func (t *ReportTLS) fill(path string, given func(string) bool) {
	if t != nil {
		orDefault(&t.Enabled, true, given(path+".enabled"))
	}
}

// reportTLS checks the encryption of one kind of load reports.
func (c *checker) reportTLS(path string, s Service, port int, own *ReportTLS) {
	switch secure := s.reportTLS(own) != nil; {
	case own == nil:
		return
	case !own.Enabled && own.ServiceTLS != (ServiceTLS{}):
		c.fail(path+".tls", "with enabled: false, the other keys have no effect: remove them")
	case port > 0 || secure == (s.TLS != nil):
	case secure:
		c.fail(path+".port", "missing: the ports of the instances have no TLS, which tls asks for")
	default:
		c.fail(path+".port", "missing: the ports of the instances have TLS, which tls switches off")
	}
	c.serviceTLS(path+".tls", &own.ServiceTLS)
}

const maxScrapeLogins = 1000

// scrapeLogins checks the logins of a node at the pages of services.
func (c *checker) scrapeLogins(path string, all []ScrapeLogin) {
	if len(all) > maxScrapeLogins {
		c.fail(path, "%d logins are more than %d", len(all), maxScrapeLogins)
		return
	}
	services := map[string]string{}
	for i, l := range all {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.id(at+".service", l.Service)
		c.unique(at+".service", "service", l.Service, services)
		switch {
		case l.User == "" && l.Password == "" && l.BearerToken == "":
			c.fail(at, "want user and password, or bearerToken")
		case l.BearerToken != "" && (l.User != "" || l.Password != ""):
			c.fail(at, "want user and password, or bearerToken, not both")
		case l.BearerToken == "" && (l.User == "" || l.Password == ""):
			c.fail(at, "user and password: want both")
		}
		if len(l.User) > maxAttribute || strings.ContainsFunc(l.User, func(r rune) bool { return r == ':' || unicode.IsControl(r) }) {
			c.fail(at+".user", "want at most %d bytes without a colon", maxAttribute)
		}
		for key, ref := range map[string]secret.Ref{"password": l.Password, "bearerToken": l.BearerToken} {
			if err := ref.Check(); err != nil {
				c.fail(at+"."+key, "%v", err)
			}
		}
	}
}
