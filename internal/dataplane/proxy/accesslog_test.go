package proxy

import (
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// formatted runs a proxy whose log has lines of a format.
func formatted(t *testing.T, format string, filter accesslog.Filter) (*bench, *logBuf) {
	log := &logBuf{}
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, r *dispatch.Route) {
		f, err := accesslog.Parse(format)
		if err != nil {
			t.Fatal(err)
		}
		c.AccessLog, c.LogFormat, c.LogFilter = log, f, filter
		r.Actions = &action.Actions{Request: headersOf(t, nil, nil, []string{"User-Agent", "Referer"})}
	})
	return b, log
}

// The log shows what the client sent, also of headers that the route removes and of requests that are refused.
func TestTemplateHasTheHeadersOfTheClient(t *testing.T) {
	b, log := formatted(t, `"${request}" ${status} ${userAgent} ${referer} ${path}`, accesslog.Filter{})
	for _, request := range []string{
		"GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: one\"\x01\r\nReferer: here\r\n\r\n",
		"GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: one\"\r\nReferer: here\r\n\r\n",
		"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /c HTTP/1.1\r\nUser-Agent: two\r\nHost: a\r\nHost: b\r\n\r\n",
		"\x16\x03\x01",
	} {
		c := b.dial()
		c.send(request)
		c.response("GET")
		c.abort()
	}
	b.stop()
	for _, want := range []string{
		`"GET /a?b HTTP/1.1" 200 one\x22 here /a` + "\n",
		`"GET /a?b HTTP/1.1" 200 - - /a` + "\n",
		`"GET /c HTTP/1.1" 400 two - /c` + "\n",
		`"-" 400 - - -` + "\n",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in\n%s", want, log.String())
		}
	}
}

func TestOnlyErrorsAreLogged(t *testing.T) {
	b, log := formatted(t, "${target} ${status}", accesslog.Sampled(1, true))
	for _, request := range []string{get, "GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"} {
		c := b.dial()
		c.send(request)
		c.response("GET")
		c.abort()
	}
	b.stop()
	if got := log.String(); got != "/bad 400\n" {
		t.Errorf("got %q", got)
	}
}
