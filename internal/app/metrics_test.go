package app

import (
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

var update = flag.Bool("update", false, "rewrite the lists in docs/metrics.md")

const (
	metricsPage = "../../docs/metrics.md"
	beginMark   = "<!-- begin of the generated part -->\n"
	endMark     = "<!-- end of the generated part -->\n"
)

// markdown is the generated part of the page.
func markdown() string {
	var b strings.Builder
	for _, s := range sections() {
		fmt.Fprintf(&b, "\n### %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", s.title)
		for _, f := range s.families {
			labels := ""
			for _, l := range f.labels {
				labels += " `" + l + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.TrimSpace(labels), f.help)
		}
	}
	return b.String() + "\n"
}

func TestMetricsPageIsCurrent(t *testing.T) {
	src, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(src), beginMark)
	old, tail, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		t.Fatalf("%s lacks its marks", metricsPage)
	}
	now := markdown()
	if now == old {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run go test ./internal/app -run TestMetricsPageIsCurrent -update", metricsPage)
	}
	if err := os.WriteFile(metricsPage, []byte(head+beginMark+now+endMark+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// scraped returns what a node with every kind of metric exposes.
func scraped(t *testing.T) string {
	t.Helper()
	_, text := instances(t, 1)
	cert, key := certtest.New(t, "ca").IssuePEM(certtest.Options{}, "localhost")
	certFile, keyFile := certtest.Files(t, t.TempDir(), "web", cert, key)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // the key of RFC 8037, appendix A
		_, _ = io.WriteString(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	}))
	t.Cleanup(issuer.Close)
	document := strings.NewReplacer(
		"listeners: [", fmt.Sprintf("listeners: [{name: secure, address: '127.0.0.1:0', tls: {certificates: [{cert: %q, key: %q}]}}, ", certFile, keyFile),
		"routes: [", "routes: [{name: dead, path: {prefix: /dead}, service: dead, mirror: {service: dead}, rateLimits: [{name: all, rate: 1000/s, scope: fleet}]}, {name: token, path: {prefix: /token}, service: dead, jwt: {issuer: i, jwks: '"+issuer.URL+"'}, forwardAuth: {url: '"+issuer.URL+"'}}, ",
	).Replace(string(text)) + "  - id: dead\n    loadReports: {orca: {}}\n    tls: {insecure: true}\n    concurrency: {limit: 1}\n    sessionPersistence: {sessionName: S}\n    instances: [{id: dead-1, address: '127.0.0.1:1'}]\n    discovery: {http: {url: '" + issuer.URL + "'}}\n"
	traffic, err := config.ParseTraffic([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, AllRoles()...)
	o.Document.Traffic, o.Traffic, o.FileName = traffic, []byte(document), "test.yaml"
	o.Document.Telemetry.OTLP.Address = "127.0.0.1:0"
	o.Signals.Reload = func() (File, error) { return File{}, nil }
	o.Upgrade.C = make(chan os.Signal)
	o.Document.Alerting = config.DefaultAlerting()
	o.Document.Alerting.Receivers = []config.Receiver{{Name: "ops", Type: config.ReceiverWebhook, URL: "http://127.0.0.1:1", Timeout: time.Second}}
	a := run(t, o)
	web, admin := "http://"+a.Addr("web"), "http://"+a.Addr("admin")
	get(t, web+"/users/1")
	get(t, web+"/dead")
	body := ""
	eventually(t, "the node reads facts from Kafka, sends alerts and fetches keys", func() bool {
		_, body = get(t, admin+"/metrics")
		return strings.Contains(body, `smartlb_facts_latest_timestamp_seconds{topic="health-scores"}`) && strings.Contains(body, "smartlb_alert_receiver_failing{") && strings.Contains(body, "smartlb_jwks_last_success_timestamp_seconds{")
	})
	return body
}

// Series that this test does not cause.
var notScraped = []*family{familyOrder, familySkipped, familyDropped, familyGroupLag, familyGroupAlarm, familyCapacity, familyCapacityLoad, familyHeadroom, familyLowerBound, familyMayLose, familyZoneLoss, familyRegionLoss, familyRecommended}

func TestANodeExposesWhatThePageLists(t *testing.T) {
	body := scraped(t)
	t.Run("promtool finds no fault", func(t *testing.T) {
		cmd := exec.Command(leftout.Unless(t, "checking the metrics", "promtool"), "check", "metrics")
		cmd.Stdin = strings.NewReader(body)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	listed := map[string]*family{}
	for _, s := range sections() {
		for _, f := range s.families {
			if listed[f.name] != nil {
				t.Errorf("%s is listed twice", f.name)
			}
			listed[f.name] = f
		}
	}
	exposed := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (smartlb_\S+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		exposed[m[1]] = m[2]
		if f := listed[m[1]]; f == nil || f.kind != m[2] {
			t.Errorf("%s %s is exposed; sections lists %+v", m[1], m[2], f)
		}
	}
	for name, f := range listed {
		if exposed[name] == "" && !slices.Contains(notScraped, f) {
			t.Errorf("%s is listed and not exposed", name)
		}
	}
}

// The library's own histogram is the reference for both forms.
func TestHistogramsAreThoseOfTheLibrary(t *testing.T) {
	library := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "x", Buckets: upstream.ClassicBounds[:], NativeHistogramBucketFactor: 1.19, NativeHistogramZeroThreshold: upstream.NativeZero,
	})
	ours, live := upstream.NewHistogram(), keeper.Counted{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		ns := int64(math.Exp(random.Float64() * math.Log(1e12)))
		library.Observe(float64(ns) / 1e9)
		ours.Observe(i, ns)
		live.Hist[upstream.HistBucket(ns)]++
		live.HistSum += uint64(ns)
	}
	var want, got dto.Metric
	if err := library.Write(&want); err != nil {
		t.Fatal(err)
	}
	if err := newHistogramPair(familyRouteDuration, ofRoute(ours.Load()), time.Now(), "r", "s").Write(&got); err != nil {
		t.Fatal(err)
	}
	g, w := got.GetHistogram(), want.GetHistogram()
	if g.GetSampleCount() != w.GetSampleCount() || math.Abs(g.GetSampleSum()/w.GetSampleSum()-1) > 1e-9 || g.GetSchema() != w.GetSchema() || g.GetZeroCount() != w.GetZeroCount() {
		t.Errorf("count, sum, schema, zero count: got %v %v %v %v, want %v %v %v %v", g.GetSampleCount(), g.GetSampleSum(), g.GetSchema(), g.GetZeroCount(), w.GetSampleCount(), w.GetSampleSum(), w.GetSchema(), w.GetZeroCount())
	}
	for i, b := range w.GetBucket() {
		if o := g.GetBucket()[i]; o.GetUpperBound() != b.GetUpperBound() || o.GetCumulativeCount() != b.GetCumulativeCount() {
			t.Errorf("classic bucket %d: got %v, want %v", i, o, b)
		}
	}
	if !slices.Equal(g.GetPositiveDelta(), w.GetPositiveDelta()) || fmt.Sprint(g.GetPositiveSpan()) != fmt.Sprint(w.GetPositiveSpan()) {
		t.Errorf("native buckets:\ngot  %v %v\nwant %v %v", g.GetPositiveSpan(), g.GetPositiveDelta(), w.GetPositiveSpan(), w.GetPositiveDelta())
	}
	of, route := ofInstance(live), ofRoute(ours.Load())
	for index := -54; index < 32; index++ { // where both are exact
		if of.native[index] != route.native[index] {
			t.Errorf("instance: %d in bucket %d, want %d", of.native[index], index, route.native[index])
		}
	}
	if of.count != w.GetSampleCount() || of.classic[.5] != route.classic[.5] || len(of.classic) != 17 {
		t.Errorf("instance: %+v", of)
	}
}

func TestWholeServicesHaveSeriesOfInstances(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		limit int
		want  string
	}{
		{nil, 10, "[]"},
		{[]int{4, 6}, 10, "[true true]"},
		{[]int{4, 7}, 10, "[true false]"},
		{[]int{7, 4, 1}, 10, "[false true true]"},
		{[]int{5, 5, 5}, 10, "[true true false]"},
		{[]int{11}, 10, "[false]"},
		{[]int{0, 20}, 10, "[true false]"},
	} {
		if got := fmt.Sprint(within(c.sizes, c.limit)); got != c.want {
			t.Errorf("%v within %d: got %v, want %v", c.sizes, c.limit, got, c.want)
		}
	}
}

func TestSeriesOfAFleetAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: all, service: s0}]\nservices:\n")
	for s := range 11 {
		fmt.Fprintf(&b, "  - id: s%d\n    instances:\n", s)
		for i := range map[bool]int{true: 20, false: 498}[s == 0] {
			fmt.Fprintf(&b, "      - {id: s%d-i%d, address: '10.%d.%d.%d:80'}\n", s, i, s, i/250, i%250+1)
		}
	}
	traffic, err := config.ParseTraffic([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	o := withoutKafka(t, event.RoleProxy)
	o.Document.Traffic, o.Traffic = traffic, []byte(b.String())
	a := run(t, o)
	families, err := a.metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, f := range families {
		count[f.GetName()] = len(f.GetMetric())
	}
	// Of 5,000 instances, those of s0 and of one other service have series.
	for name, want := range map[string]int{
		"smartlb_instance_requests_total": 518, "smartlb_instance_response_duration_seconds": 20, "smartlb_service_requests_total": 11,
	} {
		if count[name] != want {
			t.Errorf("%s: %d series, want %d", name, count[name], want)
		}
	}
	for _, f := range families {
		if f.GetName() == "smartlb_service_instances_hidden" {
			hidden := 0.0
			for _, m := range f.GetMetric() {
				hidden += m.GetGauge().GetValue()
			}
			if hidden != 5000-518 {
				t.Errorf("%v instances are shown as hidden, want %d", hidden, 5000-518)
			}
		}
	}
}
