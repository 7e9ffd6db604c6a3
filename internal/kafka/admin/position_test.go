package admin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/admin"
)

func TestPositionsAreReadAsPeopleWriteThem(t *testing.T) {
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, zone)
	for text, want := range map[string]string{
		"start": "start", "beginning": "start", "EARLIEST": "start", "oldest": "start", "end": "end", "latest": "end",
		"42": "offset 42", "0": "offset 0", "-5": "5 before the end", "shift:-3": "shift:-3", "shift:+3": "shift:+3",
		"@2026-01-02T15:04:05Z": "@2026-01-02T15:04:05Z", "@2026-01-02": "@2026-01-01T23:00:00Z", "@2026-01-02 15:04": "@2026-01-02T14:04:00Z",
		"@15:04": "@2026-11-23T14:04:00Z", "@-90m": "@2026-11-23T09:30:00Z", "@-2d": "@2026-11-21T11:00:00Z",
		"s@1700000000123": "@2023-11-14T22:13:20.123Z", "@1700000000": "@2023-11-14T22:13:20Z", "@1700000000123": "@2023-11-14T22:13:20.123Z",
	} {
		got, err := admin.ParsePosition(text, now)
		if err != nil || got.String() != want {
			t.Errorf("%q is %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "+5", "--5", "1.5", "@", "@soon", "@25:00", "s@", "s@-1", "s@x", "shift:", "shift:x", "@-x", "@--5m", "99999999999999999999", "@2026-13-01"} {
		if got, err := admin.ParsePosition(text, now); !errors.Is(err, admin.ErrPosition) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"start", "-5", "@-90m", "s@1700000000123", "shift:+3", "@2026-01-02T15:04:05Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := admin.ParsePosition(text, time.UnixMilli(1_700_000_000_000))
		if err == nil && p.String() == "" {
			t.Errorf("%q is nothing", text)
		}
	})
}
