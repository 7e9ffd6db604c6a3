package router

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night := Hours{Days: [7]bool{time.Friday: true}, From: 22 * time.Hour, To: 6 * time.Hour, Zone: berlin}
	office := Hours{Days: [7]bool{time.Monday: true, time.Tuesday: true}, From: 8*time.Hour + 30*time.Minute, To: 18 * time.Hour}
	weekend := Hours{Days: [7]bool{time.Saturday: true, time.Sunday: true}}
	for _, tc := range []struct {
		hours Hours
		at    string
		want  bool
	}{
		{night, "2026-12-04T20:59:59Z", false}, // Friday, 21:59:59 in Berlin
		{night, "2026-12-04T21:00:00Z", true},
		{night, "2026-12-05T04:59:59Z", true},
		{night, "2026-12-05T05:00:00Z", false},
		{night, "2026-12-05T21:00:00Z", false}, // Saturday
		{night, "2026-12-04T00:00:00Z", false}, // the night of Thursday
		{night, "2026-06-05T20:00:00Z", true},  // summer time
		{office, "2026-12-07T08:29:59Z", false},
		{office, "2026-12-07T08:30:00Z", true},
		{office, "2026-12-08T17:59:59Z", true},
		{office, "2026-12-09T12:00:00Z", false},
		{weekend, "2026-12-06T23:59:59Z", true},
		{weekend, "2026-12-07T00:00:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := tc.hours.contain(at); got != tc.want {
			t.Errorf("%s at %s: %v, want %v", tc.hours.String(), tc.at, got, tc.want)
		}
	}
	for want, h := range map[string]Hours{"Fri 22:00 to 06:00 Europe/Berlin": night, "Mon, Tue 08:30 to 18:00 UTC": office, "Sat, Sun UTC": weekend, "UTC": {}} {
		if got := h.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Hours and those from their end to their begin share no time and leave none out, on a day without a change of the clock.
func TestHoursAndTheRestAreTheDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minute := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, name)) * time.Minute
		}
		h := Hours{From: minute("from"), To: minute("to")}
		if h.From == h.To {
			return
		}
		rest := Hours{From: h.To, To: h.From}
		at := time.Date(2026, 12, 1, 0, 0, rapid.IntRange(0, 7*86400-1).Draw(t, "second"), 0, time.UTC)
		if h.contain(at) == rest.contain(at) {
			t.Fatalf("%s and %s at %s: both %v", h.String(), rest.String(), at, h.contain(at))
		}
	})
}

func TestARuleMatchesWithinItsHours(t *testing.T) {
	table, err := Compile([]Rule[string]{
		{Name: "night", Hours: []Hours{{From: 22 * time.Hour, To: 23 * time.Hour}, {From: time.Hour, To: 2 * time.Hour}}, Value: "night"},
		{Name: "always", Value: "always"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !table.Timed() {
		t.Error("the table does not ask for the time")
	}
	for hour, want := range map[int]string{0: "always", 1: "night", 2: "always", 22: "night", 23: "always"} {
		from := Peer{At: time.Date(2026, 12, 1, hour, 30, 0, 0, time.UTC)}
		if got, _ := table.Match(head{path: "/"}, from); got != want {
			t.Errorf("at %d:30: %s", hour, got)
		}
		if s := table.Explain(head{path: "/"}, from)[0]; want == "always" && (s.Missed != OnHours || s.Want != "22:00 to 23:00 UTC or 01:00 to 02:00 UTC") {
			t.Errorf("at %d:30: %+v", hour, s)
		}
	}
	if plain, _ := Compile([]Rule[string]{{Name: "always"}}); plain.Timed() {
		t.Error("a table without hours asks for the time")
	}
}
