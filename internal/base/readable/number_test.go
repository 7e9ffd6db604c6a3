package readable

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNumbersHaveTheDigitsThatSaySomething(t *testing.T) {
	for v, want := range map[float64]string{
		242.2894312639593: "242.289", 2.000000100000005: "2", 0.30000000000000004: "0.3", 1.0 / 3: "0.3333", 0: "0", 12: "12", 1e15: "1000000000000000",
		0.00012345: "0.000123", -242.2894312639593: "-242.289", 0.99999999: "1", 5e-12: "0.000000000005", 0.0509: "0.0509", 1234567.8916: "1234567.892",
	} {
		if got := strconv.FormatFloat(Number(v), 'f', -1, 64); got != want {
			t.Errorf("%v became %s, want %s", v, got, want)
		}
	}
	for _, v := range []float64{math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64} {
		if got := Number(v); got != v {
			t.Errorf("%v became %v", v, got)
		}
	}
	if got := Number(math.NaN()); !math.IsNaN(got) {
		t.Errorf("NaN became %v", got)
	}
}

// Whatever the number: close to what it was, never zero unless it was, short, and rounded once is rounded for good.
func TestNumbersStayWhatTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Exp(rapid.Float64Range(-30, 28).Draw(t, "log")) * rapid.SampledFrom([]float64{1, -1}).Draw(t, "sign")
		got := Number(v)
		if got == 0 || math.Abs(got/v-1) > .051 {
			t.Fatalf("%v became %v", v, got)
		}
		if again := Number(got); again != got {
			t.Fatalf("%v became %v, then %v", v, got, again)
		}
		text := strconv.FormatFloat(got, 'f', -1, 64)
		if _, fraction, _ := strings.Cut(text, "."); len(strings.TrimLeft(fraction, "0")) > 4 {
			t.Fatalf("%v is written as %s", v, text)
		}
	})
}

func TestTimesHaveDateMillisecondsAndZone(t *testing.T) {
	here := time.Local
	t.Cleanup(func() { time.Local = here })
	at := time.Date(2026, 11, 28, 14, 3, 7, 123_456_789, time.UTC)
	for zone, want := range map[*time.Location]string{
		time.UTC:                           "2026-11-28 14:03:07.123Z",
		time.FixedZone("CET", 3600):        "2026-11-28 15:03:07.123+01:00",
		time.FixedZone("NST", -(7 * 1800)): "2026-11-28 10:33:07.123-03:30",
	} {
		time.Local = zone
		if got := Time(at); got != want {
			t.Errorf("in %s: %s, want %s", zone, got, want)
		}
		if back, err := time.Parse(TimeLayout, Time(at)); err != nil || !back.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("in %s: read back as %s, %v", zone, back, err)
		}
	}
	if got := Time(time.Time{}); got != "-" {
		t.Errorf("no time is %q", got)
	}
}

func TestCountsAgreeWithTheirNouns(t *testing.T) {
	for n, want := range map[int]string{0: "0 records", 1: "1 record", 2: "2 records"} {
		if got := Count(n, "record"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
