package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	document "github.com/smartlb/smartlb/api"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/trend"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

// call sends one request through the guard, as the listeners do.
func call(src api.Sources, method, target, body string, headers ...string) (int, http.Header, []byte) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8083"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	api.Guard(api.New(src, quiet)).ServeHTTP(w, r)
	return w.Code, w.Result().Header, w.Body.Bytes()
}

// calls are all calls that answer with JSON: the path as described, and as asked.
var calls = slices.Concat(topicCalls, clusterCalls, balancerCalls, connectCalls, []apiCall{
	{"GET", "/api/v1/me", "/api/v1/me", ""},
	{"GET", "/api/v1/login", "/api/v1/login", ""},
	{"POST", "/api/v1/logout", "/api/v1/logout", "{}"},
	{"GET", "/api/v1/node", "/api/v1/node", ""},
	{"GET", "/api/v1/overview", "/api/v1/overview", ""},
	{"GET", "/api/v1/services", "/api/v1/services", ""},
	{"GET", "/api/v1/capacity", "/api/v1/capacity?target=0.7", ""},
	{"GET", "/api/v1/instances/{instance}/explain", "/api/v1/instances/a/explain?service=s", ""},
	{"POST", "/api/v1/services/{service}/instances/{instance}/override", "/api/v1/services/s/instances/a/override", `{"action":"drain"}`},
	{"POST", "/api/v1/services/{service}/instances/{instance}/override", "/api/v1/services/s/instances/a/override", `{"action":"weight","weight":2}`},
	{"GET", "/api/v1/config/history", "/api/v1/config/history", ""},
	{"GET", "/api/v1/topics/{topic}/partitions/{partition}/offsets/{offset}", "/api/v1/topics/alerts/partitions/0/offsets/7?from=3&bytes=9", ""},
	{"POST", "/api/v1/filters/check", "/api/v1/filters/check", `{"where":"key == 1 +","json":"a.b > 1","text":"x"}`},
	{"POST", "/api/v1/topics/{topic}/messages", "/api/v1/topics/alerts/messages", `{"key":"k","value":"v","headers":[{"key":"a"}],"toPartition":1,"anyway":true}`},
	{"POST", "/api/v1/topics/{topic}/messages", "/api/v1/topics/alerts/messages?dryRun=true", `{"key":"k"}`},
	{"POST", "/api/v1/topics/{topic}/redrive", "/api/v1/topics/t.dlq/redrive", `{"pick":"0:1,0:2"}`},
	{"POST", "/api/v1/topics/{topic}/redrive", "/api/v1/topics/t.dlq/redrive?dryRun=true", `{"query":"text=a+b"}`},
	{"GET", "/api/v1/groups", "/api/v1/groups", ""},
	{"GET", "/api/v1/groups/{group}", "/api/v1/groups/g", ""},
	{"DELETE", "/api/v1/groups/{group}", "/api/v1/groups/g", ""},
	{"POST", "/api/v1/groups/{group}/reset", "/api/v1/groups/g/reset", `{"exact":[{"topic":"t","partition":0,"offset":4}]}`},
	{"PUT", "/api/v1/groups/{group}/threshold", "/api/v1/groups/g/threshold", `{"lag":100}`},
	{"PUT", "/api/v1/groups/{group}/threshold", "/api/v1/groups/g/threshold", `{"lag":null}`},
	{"DELETE", "/api/v1/groups/{group}/topics/{topic}", "/api/v1/groups/g/topics/t", ""},
	{"GET", "/api/v1/settings/rules", "/api/v1/settings/rules", ""},
	{"POST", "/api/v1/demo/instances/{instance}/fault", "/api/v1/demo/instances/a/fault", `{"errorRate":1,"latencyMs":1}`},
	{"POST", "/api/v1/demo/instances/{instance}/fault", "/api/v1/demo/instances/a/fault", `{"heal":true}`},
})

type apiCall struct{ method, path, target, body string }

func TestAnswersAreAsDescribed(t *testing.T) {
	d := describe(t)
	for _, c := range calls {
		status, h, body := call(full(), c.method, c.target, c.body)
		if status != 200 {
			t.Errorf("%s %s: %d %s", c.method, c.target, status, body)
		}
		d.answer(c.method, c.path, status, h.Get("Content-Type"), body)

		// A node that has found nothing yet answers with empty lists, never null.
		status, h, body = call(empty(), c.method, c.target, c.body)
		d.answer(c.method, c.path, status, h.Get("Content-Type"), body)

		// One without the role says so.
		if slices.Contains([]string{"/api/v1/me", "/api/v1/login", "/api/v1/logout", "/api/v1/settings/rules"}, c.path) {
			continue
		}
		if status, h, body = call(api.Sources{}, c.method, c.target, c.body); status != 404 {
			t.Errorf("%s %s without sources: %d", c.method, c.target, status)
		}
		d.answer(c.method, c.path, status, h.Get("Content-Type"), body)
	}
}

func TestErrorsAreProblems(t *testing.T) {
	broken := func(err error) api.Sources {
		s := full()
		s.Overview = func(context.Context) (api.Overview, error) { return api.Overview{}, err }
		return s
	}
	nan := full()
	nan.Overview = func(context.Context) (api.Overview, error) {
		o := overview()
		o.Services[0].Rate = math.NaN()
		return o, nil
	}
	const override, fault = "/api/v1/services/s/instances/a/override", "/api/v1/demo/instances/a/fault"
	for _, c := range []struct {
		what           string
		src            api.Sources
		method, target string
		body           string
		headers        []string
		want           int
	}{
		{"an unknown path", full(), "GET", "/api/v1/nodes", "", nil, 404},
		{"the wrong method", full(), "DELETE", "/api/v1/node", "", nil, 404},
		{"an unknown instance", full(), "GET", "/api/v1/instances/z/explain", "", nil, 404},
		{"an unknown group", full(), "GET", "/api/v1/groups/z", "", nil, 404},
		{"a reset to nowhere", full(), "POST", "/api/v1/groups/g/reset", `{"to":"somewhere"}`, nil, 400},
		{"a reset without an aim", full(), "POST", "/api/v1/groups/g/reset", `{}`, nil, 400},
		{"a reset to before the beginning", full(), "POST", "/api/v1/groups/g/reset", `{"exact":[{"topic":"t","partition":0,"offset":-4}]}`, nil, 400},
		{"a negative threshold", full(), "PUT", "/api/v1/groups/g/threshold", `{"lag":-1}`, nil, 400},
		{"an unknown topic", full(), "GET", "/api/v1/topics/z", "", nil, 404},
		{"a source that is away", broken(problem.Errorf(problem.Unavailable, "no broker")), "GET", "/api/v1/overview", "", nil, 503},
		{"a source that is slow", broken(context.DeadlineExceeded), "GET", "/api/v1/services", "", nil, 503},
		{"a source that fails", broken(errors.New("disk")), "GET", "/api/v1/services", "", nil, 500},
		{"an answer that JSON cannot say", nan, "GET", "/api/v1/overview", "", nil, 500},
		{"no broker for an override", full(), "POST", "/api/v1/services/s/instances/unreachable/override", `{"action":"drain"}`, nil, 503},
		{"an unknown action", full(), "POST", override, `{"action":"explode"}`, nil, 400},
		{"a negative weight", full(), "POST", override, `{"action":"weight","weight":-1}`, nil, 400},
		{"an unknown field", full(), "POST", override, `{"action":"drain","force":true}`, nil, 400},
		{"half a body", full(), "POST", override, `{"action":`, nil, 400},
		{"a body over the limit", full(), "POST", override, `{"action":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413},
		{"a form", full(), "POST", override, "action=drain", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"text that is JSON", full(), "POST", fault, `{"heal":true}`, []string{"Content-Type", "text/plain"}, 415},
		{"an error rate above 1", full(), "POST", fault, `{"errorRate":2}`, nil, 400},
		{"a latency above a minute", full(), "POST", fault, `{"latencyMs":60001}`, nil, 400},
		{"an instance that is not of the demo", full(), "POST", "/api/v1/demo/instances/z/fault", `{"heal":true}`, nil, 404},
		{"another site's page", full(), "POST", override, `{"action":"drain"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another origin, older browser", full(), "POST", override, `{"action":"drain"}`, []string{"Origin", "http://evil.example"}, 403},
		{"another port of this machine", full(), "POST", override, `{"action":"drain"}`, []string{"Origin", "http://127.0.0.1:9999"}, 403},
		{"a rebound name", full(), "GET", "/api/v1/overview", "", []string{"Host", "evil.example"}, 421},
		{"a rebound name with a port", full(), "GET", "/api/v1/overview", "", []string{"Host", "evil.example:8083"}, 421},
		{"no host", full(), "GET", "/api/v1/overview", "", []string{"Host", ""}, 421},
		{"a stream without the role", api.Sources{}, "GET", "/api/v1/overview/events", "", nil, 404},
		{"a tail without Kafka", api.Sources{}, "GET", "/api/v1/topics/alerts/events", "", nil, 404},
	} {
		d := describe(t)
		status, h, body := call(c.src, c.method, c.target, c.body, c.headers...)
		if status != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.what, status, c.want, body)
		}
		if h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: content type %q", c.what, h.Get("Content-Type"))
		}
		d.check("/components/schemas/Problem", body)
	}
}

// A body without a length is refused once it is beyond the limit.
func TestABodyWithoutALengthIsBounded(t *testing.T) {
	r := httptest.NewRequest("POST", "/api/v1/demo/instances/a/fault", io.MultiReader(strings.NewReader(`{"heal":`+strings.Repeat(" ", 1<<20)+`true}`)))
	r.Host = "127.0.0.1:8083"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	api.Guard(api.New(full(), quiet)).ServeHTTP(w, r)
	if w.Code != 413 || !strings.Contains(w.Body.String(), "larger than 1024 KiB") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestGuardLetsThroughWhatIsOurs(t *testing.T) {
	for _, headers := range [][]string{
		{"Host", "localhost"}, {"Host", "LOCALHOST:8083"}, {"Host", "127.0.0.1:8083"}, {"Host", "[::1]:8083"}, {"Host", "10.0.0.7"},
		{"Origin", "http://127.0.0.1:8083"}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"},
	} {
		if status, _, body := call(full(), "POST", "/api/v1/services/s/instances/a/override", `{"action":"drain"}`, headers...); status != 200 {
			t.Errorf("%v: %d %s", headers, status, body)
		}
	}
	_, h, _ := call(full(), "GET", "/api/v1/node", "")
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
}

func TestEveryCallIsDescribedAndEveryDescriptionIsServed(t *testing.T) {
	d := describe(t)
	served := api.New(full(), quiet).Calls()
	var described []string
	for path, item := range d.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served\n%s\ndescribed\n%s", strings.Join(served, "\n"), strings.Join(described, "\n"))
	}
	// And each one is really answered, not by the catch-all.
	for _, c := range described {
		method, path, _ := strings.Cut(c, " ")
		body := ""
		if method != "GET" && method != "DELETE" {
			body = "{}"
		}
		_, _, got := call(api.Sources{}, method, strings.NewReplacer("{", "", "}", "").Replace(path), body)
		if strings.Contains(string(got), "there is no "+method+" ") {
			t.Errorf("%s: %s", c, got)
		}
	}
}

func TestDescriptionIsServed(t *testing.T) {
	status, h, body := call(api.Sources{}, "GET", "/api/v1/openapi.yaml", "")
	if status != 200 || h.Get("Content-Type") != "application/yaml" || string(body) != string(document.OpenAPI) {
		t.Errorf("%d %s, %d bytes", status, h.Get("Content-Type"), len(body))
	}
}

// What the keeper knows becomes an answer as described, whatever the numbers.
func TestViewsBecomeAnswersAsDescribed(t *testing.T) {
	d := describe(t)
	for _, v := range []keeper.InstanceView{
		{ID: "a", State: "in", ErrorFactor: 1, Silence: 1, SlowStart: 1, Veto: 1, Capacity: 1, Weight: 1},
		{ID: "a", State: "in", Cost: math.Inf(1), ErrorFactor: math.Inf(1), Silence: 2, LatencyFactor: math.NaN(), Capacity: math.Inf(1), ErrorRate: 1, FleetErrorRate: .5, Until: noon, Since: noon},
		{ID: "a", State: "draining", ErrorFactor: 1, Silence: 1, Probe: keeper.ProbeView{At: noon, Took: time.Millisecond}},
	} {
		src := full()
		src.Overview = func(context.Context) (api.Overview, error) {
			o := overview()
			o.Services = api.FromViews([]keeper.ServiceView{{ID: "s", Policy: "adaptive", Instances: []keeper.InstanceView{v}}}, trend.New())
			return o, nil
		}
		status, h, body := call(src, "GET", "/api/v1/overview", "")
		if status != 200 {
			t.Errorf("%+v: %d %s", v, status, body)
		}
		d.answer("GET", "/api/v1/overview", status, h.Get("Content-Type"), body)
	}
}

// Answers had 242.2894312639593 and nanoseconds. Whole numbers and texts stay.
func TestAnswersHaveNumbersAsPeopleWriteThem(t *testing.T) {
	src := full()
	src.Overview = func(context.Context) (api.Overview, error) {
		return api.Overview{At: noon, Services: []api.Service{{ID: "s 1.23456789", Rate: 242.2894312639593, ErrorRate: 1.0 / 3, MedianMs: 2.000000100000005, Active: 12345678901}}}, nil
	}
	_, _, body := call(src, "GET", "/api/v1/overview", "")
	for _, want := range []string{`"rate":242.289,`, `"errorRate":0.3333,`, `"medianMs":2,`, `"id":"s 1.23456789"`, `"active":12345678901`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
}
