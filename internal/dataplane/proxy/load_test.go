package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/orca"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

func withLoadReports(strip bool) func(*Config, *dispatch.Route) {
	return func(_ *Config, r *dispatch.Route) {
		leg := dispatch.Leg{LoadReports: dispatch.LoadReports{Read: true, Strip: strip}}
		if old := r.Split[0].Leg; old != nil {
			leg = *old
			leg.LoadReports = dispatch.LoadReports{Read: true, Strip: strip}
		}
		r.Split[0].Leg = &leg
	}
}

const textReport = "TEXT cpu_utilization=0.25,rps_fractional=40"

func TestLoadReportsInHeads(t *testing.T) {
	off := func(*Config, *dispatch.Route) {}
	for name, tc := range map[string]struct {
		edit           func(*Config, *dispatch.Route)
		lines          string
		cpu            float64
		taken, refused uint64
		passes         string // fields that the client gets
	}{
		"off":                        {off, "Endpoint-Load-Metrics: " + textReport, 0, 0, 0, "Endpoint-Load-Metrics"},
		"stripped":                   {withLoadReports(true), "Endpoint-Load-Metrics: " + textReport, .25, 1, 0, ""},
		"passed on":                  {withLoadReports(false), "Endpoint-Load-Metrics: " + textReport, .25, 1, 0, "Endpoint-Load-Metrics"},
		"both fields":                {withLoadReports(true), "endpoint-load-metrics: TEXT cpu_utilization=0.9\r\nendpoint-load-metrics-bin: CQAAAAAAAOA/", .5, 1, 0, ""},
		"twice":                      {withLoadReports(true), "endpoint-load-metrics: " + textReport + "\r\nEndpoint-Load-Metrics: TEXT cpu_utilization=1", .25, 1, 0, ""},
		"invalid":                    {withLoadReports(true), "endpoint-load-metrics: TEXT cpu_utilization=NaN", 0, 0, 1, ""},
		"too large":                  {withLoadReports(true), "endpoint-load-metrics: TEXT eps=1," + strings.Repeat("named_metrics.a=1,", 500), 0, 0, 1, ""},
		"nothing for a balancer":     {withLoadReports(true), "endpoint-load-metrics: TEXT named_metrics.a=1", 0, 1, 0, ""},
		"a name that only resembles": {withLoadReports(true), "X-Endpoint-Load-Metrics: 1", 0, 0, 0, "X-Endpoint-Load-Metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, upstreamtest.Always("HTTP/1.1 200 OK\r\n"+tc.lines+"\r\nContent-Length: 2\r\n\r\nok"), tc.edit)
			c := b.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			res, body := c.response("GET")
			var passes []string
			for field := range res.Header {
				if strings.Contains(field, "Load-Metrics") {
					passes = append(passes, field)
				}
			}
			if body != "ok" || strings.Join(passes, " ") != tc.passes {
				t.Errorf("the client got %v %q", res.Header, body)
			}
			load := &b.lives[0].Load
			r, at := load.Latest()
			if r.CPU != tc.cpu || (at > 0) != (tc.cpu > 0) || load.Taken.Load() != tc.taken || load.Refused.Load() != tc.refused {
				t.Errorf("got %+v at %d, %d taken, %d refused", r, at, load.Taken.Load(), load.Refused.Load())
			}
		})
	}
}

// A try that is not passed on, an interim response, and a tunnel carry reports too.
func TestLoadReportsOfOtherResponses(t *testing.T) {
	n := 0
	b, _ := raw(t, func(s *upstreamtest.Session) {
		for s.Head() {
			switch n++; n {
			case 1:
				s.Write("HTTP/1.1 503 No\r\nendpoint-load-metrics: TEXT cpu_utilization=1\r\nContent-Length: 0\r\n\r\n")
			case 2:
				s.Write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nendpoint-load-metrics: TEXT cpu_utilization=.1\r\n\r\n")
				s.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			default:
				s.Write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\nendpoint-load-metrics: TEXT cpu_utilization=.7\r\n\r\n")
				return
			}
		}
	}, func(c *Config, r *dispatch.Route) {
		withLoadReports(true)(c, r)
	})
	load := &b.lives[0].Load
	c := b.dial()
	for _, want := range []struct {
		request, first string
		cpu            float64
	}{{"", "HTTP/1.1 503", 1}, {"", "HTTP/1.1 103", 1}, {"Connection: upgrade\r\nUpgrade: echo\r\n", "HTTP/1.1 101", .7}} {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n" + want.request + "\r\n")
		head := ""
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if head += line; line == "\r\n" {
				break
			}
		}
		if !strings.HasPrefix(head, want.first) || strings.Contains(strings.ToLower(head), "load-metrics") {
			t.Errorf("got %q, want %s", head, want.first)
		}
		if want.first == "HTTP/1.1 103" {
			if res, _ := c.response("GET"); res.StatusCode != 200 {
				t.Errorf("got %d", res.StatusCode)
			}
		}
		if r, _ := load.Latest(); r.CPU != want.cpu {
			t.Errorf("%s: got %+v", want.first, r)
		}
	}
}

// Trailers of HTTP/2, as gRPC sends them, and of HTTP/1.1 carry reports: with the first bytes of the body and after a long one.
func TestLoadReportsInTrailers(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Endpoint-Load-Metrics-Bin, Grpc-Status")
		body := "ok"
		if r.URL.Path == "/long" {
			body = strings.Repeat("long ", 1<<16)
		}
		_, _ = io.WriteString(w, body)
		w.Header().Set("Endpoint-Load-Metrics-Bin", "CQAAAAAAAOA/")
		w.Header().Set("Grpc-Status", "0")
	})
	for _, strip := range []bool{true, false} {
		b := runMux(t, []string{addr}, withLoadReports(strip))
		client, url := b.h2Client("/")
		for i, path := range []string{"short", "long"} {
			res, err := client.Get(url + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = readAll(t, res.Body)
			if got := res.Trailer.Get("Endpoint-Load-Metrics-Bin"); res.Trailer.Get("Grpc-Status") != "0" || (got == "") != strip {
				t.Errorf("%s, strip %v: trailers %v", path, strip, res.Trailer)
			}
			if r, _ := b.lives[0].Load.Latest(); r != (orca.Report{CPU: .5, Has: orca.CPU}) || b.lives[0].Load.Taken.Load() != uint64(i)+1 {
				t.Errorf("%s: got %+v", path, r)
			}
		}
	}
	b, _ := raw(t, upstreamtest.Always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: endpoint-load-metrics, x-sum\r\n\r\n2\r\nok\r\n0\r\nEndpoint-Load-Metrics: "+textReport+"\r\nX-Sum: 1\r\n\r\n"), withLoadReports(true))
	c := b.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
	res, _ := c.response("GET")
	if r, _ := b.lives[0].Load.Latest(); trailersOf(res) == "" || strings.Contains(trailersOf(res), "Load") || r.RPS != 40 {
		t.Errorf("trailers %q, report %+v", trailersOf(res), r)
	}
}
