package otlpmetrics

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	service "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// lines is a Visitor that writes down what it is told.
type lines struct {
	all  []string
	skip string // a metric that is not wanted
}

func (l *lines) Resource(a []Attribute) { l.all = append(l.all, fmt.Sprintf("resource %v", a)) }

func (l *lines) Metric(scope, name string, points int) bool {
	l.all = append(l.all, strings.TrimSpace(fmt.Sprintf("%s %d %s", name, points, scope)))
	return name != l.skip
}

func (l *lines) Point(p Point) { l.all = append(l.all, fmt.Sprintf("%+v", p)) }

func str(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

// request has a point of each kind.
func request() *service.ExportMetricsServiceRequest {
	code := &common.KeyValue{Key: "code", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: -503}}}
	flag := &common.KeyValue{Key: "flag", Value: &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}}
	half := &common.KeyValue{Key: "half", Value: &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: .5}}}
	list := &common.KeyValue{Key: "list", Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{}}}}
	number := func(v float64, flags uint32) *metrics.NumberDataPoint {
		return &metrics.NumberDataPoint{StartTimeUnixNano: 1, TimeUnixNano: 1 << 60, Value: &metrics.NumberDataPoint_AsDouble{AsDouble: v}, Attributes: []*common.KeyValue{code, flag}, Flags: flags}
	}
	whole := &metrics.NumberDataPoint{TimeUnixNano: 2, Value: &metrics.NumberDataPoint_AsInt{AsInt: -7}, Attributes: []*common.KeyValue{half, list}}
	all := []*metrics.Metric{
		{Name: "gauge", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{number(.25, 0), number(.5, 1), number(math.Inf(1), 0), whole, {TimeUnixNano: 9}}}}},
		{Name: "delta", Data: &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: []*metrics.NumberDataPoint{number(3, 0)}, IsMonotonic: true, AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA}}},
		{Name: "in flight", Data: &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: []*metrics.NumberDataPoint{number(4, 0)}, AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE}}},
		{Name: "skipped", Data: &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: []*metrics.NumberDataPoint{number(4, 0), number(5, 0)}}}},
		{Name: "histogram", Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{DataPoints: []*metrics.HistogramDataPoint{{Count: 12, Attributes: []*common.KeyValue{code}, TimeUnixNano: 5}, {}}, AggregationTemporality: 2}}},
		{Name: "exponential", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{DataPoints: []*metrics.ExponentialHistogramDataPoint{{Count: 13, Attributes: []*common.KeyValue{code}}}, AggregationTemporality: 1}}},
		{Name: "summary", Data: &metrics.Metric_Summary{Summary: &metrics.Summary{DataPoints: []*metrics.SummaryDataPoint{{Count: 14, Attributes: []*common.KeyValue{code}}}}}},
		{Name: "empty"},
	}
	return &service.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{
		{Resource: &resource.Resource{Attributes: []*common.KeyValue{str("service.name", "shop"), str("service.instance.id", "shöp-1"), str("long", strings.Repeat("a", maxText+1))}}, ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: all[:3]}, {Scope: &common.InstrumentationScope{Name: "net/http"}, Metrics: all[3:]}}},
		{},
	}}
}

func TestBothFormsAreReadAsTheyAreMeant(t *testing.T) {
	const a = "Attributes:[{Key:code Value:-503} {Key:flag Value:true}] Start:1 Time:1152921504606846976"
	want := []string{
		"resource [{service.name shop} {service.instance.id shöp-1} {long }]",
		"gauge 5", "{" + a + " Value:0.25 Counter:false Delta:false}", "{" + a + " Value:+Inf Counter:false Delta:false}",
		"{Attributes:[{Key:half Value:0.5} {Key:list Value:}] Start:0 Time:2 Value:-7 Counter:false Delta:false}",
		"delta 1", "{" + a + " Value:3 Counter:true Delta:true}",
		"in flight 1", "{" + a + " Value:4 Counter:false Delta:false}",
		"skipped 2 net/http",
		"histogram 2 net/http", "{Attributes:[{Key:code Value:-503}] Start:0 Time:5 Value:12 Counter:true Delta:false}", "{Attributes:[] Start:0 Time:0 Value:0 Counter:true Delta:false}",
		"exponential 1 net/http", "{Attributes:[{Key:code Value:-503}] Start:0 Time:0 Value:13 Counter:true Delta:true}",
		"summary 1 net/http", "{Attributes:[{Key:code Value:-503}] Start:0 Time:0 Value:14 Counter:true Delta:false}",
		"empty 0 net/http",
		"resource []",
	}
	binary, err := proto.Marshal(request())
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(request())
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(request())
	if err != nil {
		t.Fatal(err)
	}
	for name, walk := range map[string]func(Visitor) error{
		"protobuf":          func(v Visitor) error { return Proto(binary, v) },
		"JSON":              func(v Visitor) error { return JSON(text, v) },
		"JSON with numbers": func(v Visitor) error { return JSON(numbers, v) },
	} {
		got := lines{skip: "skipped"}
		if err := walk(&got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got.all); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}

func TestResponsesAreThoseOfTheProtocol(t *testing.T) {
	for _, tc := range []struct {
		rejected int
		message  string
		want     *service.ExportMetricsPartialSuccess
	}{{0, "", nil}, {7, "why", &service.ExportMetricsPartialSuccess{RejectedDataPoints: 7, ErrorMessage: "why"}}, {0, "a warning", &service.ExportMetricsPartialSuccess{ErrorMessage: "a warning"}}} {
		for _, asJSON := range []bool{false, true} {
			var got service.ExportMetricsServiceResponse
			var err error
			if b := Partial(tc.rejected, tc.message, asJSON); asJSON {
				err = protojson.Unmarshal(b, &got)
			} else {
				err = proto.Unmarshal(b, &got)
			}
			if err != nil || !proto.Equal(got.PartialSuccess, tc.want) {
				t.Errorf("%+v: got %v, %v", tc, &got, err)
			}
		}
	}
	refused := status.New(codes.InvalidArgument, "why").Proto()
	got, same := status.New(0, "").Proto(), status.New(0, "").Proto()
	if err := proto.Unmarshal(Status(3, "why", false), got); err != nil || !proto.Equal(got, refused) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := protojson.Unmarshal(Status(3, "why", true), same); err != nil || !proto.Equal(same, refused) {
		t.Errorf("got %v, %v", same, err)
	}
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	good, err := proto.Marshal(request())
	if err != nil {
		t.Fatal(err)
	}
	nested := []byte{1}
	for range 10_000 { // a group in a group, whose depth protowire limits
		nested = append([]byte{3<<3 | byte(protowire.StartGroupType)}, nested...)
	}
	for name, b := range map[string][]byte{"cut": good[:len(good)/2], "not protobuf": []byte("{}"), "groups": nested, "a tag only": {0x0a}, "length beyond the end": {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}} {
		if err := Proto(b, &lines{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for text, want := range map[string]error{
		"": ErrMalformed, "[]": ErrMalformed, "null": ErrMalformed, "{": ErrMalformed, `{"resourceMetrics": {}}`: ErrMalformed, "{} {}": ErrMalformed,
		`{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"asInt": "x"}]}}]}]}]}`: ErrMalformed,
		`{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"asInt": []}]}}]}]}]}`:  ErrMalformed,
		`{"resourceMetrics": [` + strings.Repeat("{},", MaxValues) + `{}]}`:                                     ErrValues,
		`{"x": ` + strings.Repeat("[", 100_000):                                                                 ErrMalformed,
		`{"resourceMetrics": null, "later": {"fields": [1]}}`:                                                   nil,
		` {"resourceMetrics": [null]}`:                                                                          nil,
	} {
		if err := JSON([]byte(text), &lines{}); !errors.Is(err, want) {
			t.Errorf("%.80s: got %v, want %v", text, err, want)
		}
	}
}

// What one form says, the other says too; nothing panics.
func FuzzBothForms(f *testing.F) {
	b, _ := proto.Marshal(request())
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		var binary, text lines
		if Proto(b, &binary) != nil {
			return
		}
		var r service.ExportMetricsServiceRequest
		if proto.Unmarshal(b, &r) != nil {
			return // text that is no UTF-8, for example
		}
		// A message that is there twice is merged by the library, which no sender does.
		again, err := proto.Marshal(&r)
		if err != nil {
			return
		}
		binary = lines{}
		if err := Proto(again, &binary); err != nil {
			t.Fatal(err)
		}
		j, err := protojson.Marshal(&r)
		if err != nil {
			return
		}
		if err := JSON(j, &text); err != nil && err != ErrValues {
			t.Fatalf("%v: %s", err, j)
		} else if d := cmp.Diff(binary.all, text.all); err == nil && d != "" {
			t.Errorf("(-protobuf +JSON)\n%s\n%s", d, j)
		}
	})
}

func FuzzJSON(f *testing.F) {
	b, _ := protojson.Marshal(request())
	f.Add(string(b))
	f.Fuzz(func(_ *testing.T, text string) { _ = JSON([]byte(text), &lines{}) })
}
