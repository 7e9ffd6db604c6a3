package orca

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// message encodes the fields of an OrcaLoadReport as protobuf does.
func message(fields map[protowire.Number]float64) []byte {
	var b []byte
	for n := protowire.Number(1); n < 10; n++ {
		if v, ok := fields[n]; ok {
			b = protowire.AppendTag(b, n, protowire.Fixed64Type)
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		}
	}
	return b
}

func coded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestEachEncodingOfAReportIsRead(t *testing.T) {
	all := Report{CPU: .3, Memory: .8, Application: .5, RPS: 120.5, EPS: 2, Has: CPU | Memory | Application | RPS | EPS}
	binary := message(map[protowire.Number]float64{1: .3, 2: .8, 9: .5, 6: 120.5, 7: 2})
	named := protowire.AppendBytes(protowire.AppendTag(nil, 8, protowire.BytesType), []byte("\n\x04pool\x11\x00\x00\x00\x00\x00\x00\xe0?"))
	old := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 7)
	for name, tc := range map[string]struct {
		value string
		want  Report
	}{
		"TEXT":                          {"TEXT cpu_utilization=0.3,mem_utilization=0.8,application_utilization=0.5,rps_fractional=120.5,eps=2", all},
		"TEXT as Envoy writes it":       {"TEXT cpu_utilization:0.3, mem_utilization: 0.8 ,application_utilization:.5,rps_fractional:1.205e2,eps:2", all},
		"TEXT with other metrics":       {"TEXT cpu_utilization=0.3,named_metrics.kv_cache=0.9,request_cost.x=-3,utilization.disk=4,new_one=1", Report{CPU: .3, Has: CPU}},
		"TEXT of an idle instance":      {"TEXT cpu_utilization=0", Report{Has: CPU}},
		"TEXT without a number":         {"TEXT ", Report{}},
		"TEXT with minus zero":          {"TEXT eps=-0", Report{Has: EPS}},
		"JSON":                          {`JSON {"cpu_utilization": 0.3, "mem_utilization": 0.8, "application_utilization": 0.5, "rps_fractional": 120.5, "eps": 2, "named_metrics": {"a": 1}}`, all},
		"JSON of protobuf":              {`JSON {"cpuUtilization":0.3,"memUtilization":"0.8","applicationUtilization":0.5,"rpsFractional":120.5,"eps":2,"requestCost":null}`, all},
		"JSON with null":                {`JSON {"cpu_utilization": null}`, Report{}},
		"BIN":                           {"BIN " + coded(binary), all},
		"BIN with a map":                {"BIN " + coded(append(binary, named...)), all},
		"BIN with the older rate":       {"BIN " + coded(old), Report{RPS: 7, Has: RPS}},
		"BIN with both rates":           {"BIN " + coded(append(binary, old...)), all},
		"BIN of an idle instance":       {"BIN ", Report{}},
		"a number that protobuf repeat": {"BIN " + coded(append(message(map[protowire.Number]float64{1: .9}), binary...)), all},
	} {
		got, err := Parse([]byte(tc.value))
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	for _, v := range []string{coded(binary), strings.TrimRight(coded(binary), "=")} {
		if got, err := ParseBinary([]byte(v)); got != all || err != nil {
			t.Errorf("%s: got %+v, %v", v, got, err)
		}
	}
}

func TestBadReportsAreRefusedAsAWhole(t *testing.T) {
	bad := func(v float64) string { return "BIN " + coded(message(map[protowire.Number]float64{1: .5, 7: v})) }
	for value, want := range map[string]error{
		"":                                          ErrFormat,
		"cpu_utilization=0.3":                       ErrFormat,
		"XML <cpu/>":                                ErrFormat,
		"text cpu_utilization=0.3":                  ErrFormat,
		"TEXT cpu_utilization":                      ErrText,
		"TEXT =1":                                   ErrText,
		"TEXT cpu_utilization=":                     ErrNumber,
		"TEXT cpu_utilization=NaN":                  ErrNumber,
		"TEXT cpu_utilization=inf":                  ErrNumber,
		"TEXT cpu_utilization=0x1p-2":               ErrNumber,
		"TEXT cpu_utilization=1e400":                ErrNumber,
		"TEXT cpu_utilization=-0.1":                 ErrNumber,
		"TEXT rps_fractional=1e16":                  ErrNumber,
		"TEXT eps=1,named_metrics.a=many":           ErrNumber,
		"TEXT eps=" + strings.Repeat("1", 65):       ErrNumber,
		"TEXT eps=1,eps=2":                          ErrDuplicate,
		"TEXT eps=1," + strings.Repeat("a=1,", 3e3): ErrLarge,
		"JSON":                ErrJSON,
		"JSON null":           ErrJSON,
		"JSON []":             ErrJSON,
		`JSON {"eps": 1`:      ErrJSON,
		`JSON {"eps": 1} {}`:  ErrJSON,
		`JSON {"eps": true}`:  ErrNumber,
		`JSON {"eps": "NaN"}`: ErrNumber,
		`JSON {"eps": ""}`:    ErrNumber,
		`JSON {"eps": -1}`:    ErrNumber,
		`JSON {"cpu_utilization": 1, "cpuUtilization": 1}`: ErrDuplicate,
		"JSON " + strings.Repeat("[", 5000):                ErrJSON,
		"BIN %%%":                                          ErrBase64,
		"BIN " + coded([]byte{0xff}):                       ErrProto,
		"BIN " + coded([]byte{0x09, 1, 2}):                 ErrProto,
		bad(math.NaN()):                                    ErrNumber,
		bad(math.Inf(1)):                                   ErrNumber,
		bad(-1):                                            ErrNumber,
	} {
		if got, err := Parse([]byte(value)); err != want || got != (Report{}) {
			t.Errorf("%.60q: got %+v, %v, want %v", value, got, err, want)
		}
	}
	if _, err := ParseBinary(make([]byte, MaxBytes+1)); err != ErrLarge {
		t.Errorf("a large value: got %v", err)
	}
}

func TestUtilizationPrefersTheApplication(t *testing.T) {
	for _, tc := range []struct {
		report Report
		want   float64
		ok     bool
	}{
		{Report{}, 0, false},
		{Report{Memory: .5, RPS: 3, Has: Memory | RPS}, 0, false},
		{Report{CPU: .4, Has: CPU}, .4, true},
		{Report{CPU: .4, Application: .9, Has: CPU | Application}, .9, true},
		{Report{CPU: .4, Has: CPU | Application}, .4, true}, // 0 is "not set" in protobuf
		{Report{Has: Application}, 0, true},
		{Report{CPU: 1.7, Has: CPU}, 1, true},
		{Report{Application: 3, Has: Application}, 1, true},
	} {
		if got, ok := tc.report.Utilization(); got != tc.want || ok != tc.ok {
			t.Errorf("%+v: got %v %v, want %v %v", tc.report, got, ok, tc.want, tc.ok)
		}
	}
}

func TestTextAndBinaryAllocateNothing(t *testing.T) {
	text := []byte("TEXT cpu_utilization=0.31,mem_utilization=0.8,application_utilization=0.5,rps_fractional=120.5,eps=2,named_metrics.a=12")
	binary := []byte(coded(message(map[protowire.Number]float64{1: .3, 2: .8, 9: .5, 6: 120.5, 7: 2})))
	if n := testing.AllocsPerRun(100, func() {
		_, _ = Parse(text)
		_, _ = ParseBinary(binary)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkText(b *testing.B) {
	text := []byte("TEXT cpu_utilization=0.31,mem_utilization=0.8,rps_fractional=120.5,eps=2")
	for b.Loop() {
		_, _ = Parse(text)
	}
}

// FuzzParse finds reports that are accepted with a number that a balancer cannot use.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"TEXT cpu_utilization=0.3,named_metrics.a=1,eps=2", `JSON {"cpuUtilization":0.3,"eps":"1"}`,
		"BIN " + coded(message(map[protowire.Number]float64{1: .3, 9: 2})), "TEXT a:1e5", "BIN GwEC",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		for _, parse := range []func([]byte) (Report, error){Parse, ParseBinary} {
			r, err := parse(b)
			if err != nil && r != (Report{}) {
				t.Fatalf("a report with an error: %+v", r)
			}
			for at := range numFields {
				if v := *r.number(at); !(v >= 0 && v <= maxNumber) || r.Has&(1<<at) == 0 && v != 0 {
					t.Fatalf("%q: %+v", before, r)
				}
			}
			if u, _ := r.Utilization(); !(u >= 0 && u <= 1) {
				t.Fatalf("utilization %v", u)
			}
		}
		if string(b) != before {
			t.Fatal("the input was changed")
		}
	})
}
