package config

import (
	"fmt"
	"net"
	"slices"
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

// ReportLogin is the login of a collector at the pages, or at the streams, of a service.
type ReportLogin struct {
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

const maxReportLogins = 1000

// reportLogins checks the logins of a node at the pages or streams of services.
func (c *checker) reportLogins(path string, all []ReportLogin) {
	if len(all) > maxReportLogins {
		c.fail(path, "%d logins are more than %d", len(all), maxReportLogins)
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

// unsentLogins warns about logins that collectors do not send, because nothing proves that the instance gets them.
func (c *checker) unsentLogins(d *Document) {
	for i, l := range d.Telemetry.ScrapeLogins {
		if s := serviceOf(d, l.Service); s != nil && s.LoadReports != nil && s.LoadReports.Scrape != nil {
			c.unsentLogin(fmt.Sprintf("telemetry.scrapeLogins[%d]", i), s, "scrape", s.ScrapeTLS())
		}
	}
	for i, l := range d.Telemetry.StreamLogins {
		if s := serviceOf(d, l.Service); s != nil && s.LoadReports != nil && s.LoadReports.ORCA != nil && s.LoadReports.ORCA.OutOfBand != nil {
			c.unsentLogin(fmt.Sprintf("telemetry.streamLogins[%d]", i), s, "orca.outOfBand", s.StreamTLS())
		}
	}
}

func (c *checker) unsentLogin(path string, s *Service, kind string, t *ServiceTLS) {
	away := func(in Instance) bool {
		host, _, err := net.SplitHostPort(in.Address)
		return err == nil && !thisMachine(host)
	}
	if s.Discovery == nil && !slices.ContainsFunc(s.Instances, away) {
		return
	}
	switch {
	case t == nil:
		c.warn(path, "is not sent to instances on other machines: loadReports.%s of the service %s has no TLS", kind, s.ID)
	case t.Insecure:
		c.warn(path, "is not sent to instances on other machines: loadReports.%s of the service %s has TLS with insecure: true, so any server could take the login; name the authority (ca)", kind, s.ID)
	}
}

func serviceOf(d *Document, id string) *Service {
	if i := slices.IndexFunc(d.Services, func(s Service) bool { return s.ID == id }); i >= 0 {
		return &d.Services[i]
	}
	return nil
}
