package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// One record that a handler cannot take must not stop a node, nor hide the
// records beside it.
func TestARecordThatMakesAHandlerPanicIsSkippedAndNamed(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	cfg := Config{Skips: &Skips{}}
	batch := []Record{{Topic: "a", Offset: 1}, {Topic: "a", Offset: 2, Value: []byte("poison")}, {Topic: "a", Offset: 3}}
	taken := map[int64]bool{}
	Hand(cfg, log, batch, func(part []Record) {
		for _, r := range part {
			if len(r.Value) > 0 {
				panic("index out of range")
			}
			taken[r.Offset] = true
		}
	})
	if !taken[1] || !taken[3] || taken[2] || cfg.Skips.Counts()["a"] != 1 {
		t.Errorf("taken %v, skipped %v", taken, cfg.Skips.Counts())
	}
	if text := out.String(); !strings.Contains(text, "offset=2") || !strings.Contains(text, "index out of range") {
		t.Errorf("log: %s", text)
	}
}

// A handler that takes each offset once leaves the record out the second time.
func TestAPanicIsCountedAlsoWhereTheRecordIsNotTakenAgain(t *testing.T) {
	cfg := Config{Skips: &Skips{}}
	calls := 0
	Hand(cfg, slog.New(slog.DiscardHandler), []Record{{Topic: "a"}, {Topic: "a", Offset: 1}}, func([]Record) {
		if calls++; calls == 1 {
			panic("once")
		}
	})
	if cfg.Skips.Counts()["a"] != 1 || calls != 3 {
		t.Errorf("%v after %d calls", cfg.Skips.Counts(), calls)
	}
}

func TestSkippedRecordsDoNotFloodTheLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	s := &Skips{}
	for i := range 10_000 {
		s.Add(Record{Topic: "a", Offset: int64(i)}, strings.Repeat("x", 10_000), log)
	}
	if s.Counts()["a"] != 10_000 || out.Len() > 10_000 {
		t.Errorf("%v in %d bytes", s.Counts(), out.Len())
	}
	var none *Skips
	none.Add(Record{}, "only logged", log)
}
