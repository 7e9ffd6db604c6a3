package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/event"
)

var update = flag.Bool("update", false, "write what this package sends into the corpus of the clients")

// corpusFile is what the clients of all languages must send. The Go client is the model: -update writes its values.
const corpusFile = "../clients/corpus.json"

type corpus struct {
	Reports       []corpusReport  `json:"reports"`
	Announcements []corpusMessage `json:"announcements"`
	BadSettings   []corpusMessage `json:"badSettings"`
}

type corpusMessage struct {
	Name       string            `json:"name"`
	ServiceID  string            `json:"serviceId"`
	InstanceID string            `json:"instanceId"`
	Address    string            `json:"address,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	IntervalMs int64             `json:"intervalMs,omitempty"`
	TimeMs     int64             `json:"timeMs"`
	Stops      bool              `json:"stops,omitempty"`
	Want       json.RawMessage   `json:"want,omitempty"`
}

type corpusReport struct {
	corpusMessage
	SpanMs      int64        `json:"spanMs"`
	Latencies   [][2]float64 `json:"latencies"` // milliseconds, number of requests
	Errors      uint64       `json:"errors"`
	Active      int64        `json:"active"`
	CPU         *float64     `json:"cpu,omitempty"`
	Memory      *float64     `json:"memory,omitempty"`
	Utilization *float64     `json:"utilization,omitempty"`
}

func (c corpusReport) value(t *testing.T) []byte {
	var h histogram
	var zero [buckets]uint64
	r := Report{
		Time: time.UnixMilli(c.TimeMs), ServiceID: c.ServiceID, InstanceID: c.InstanceID, Address: c.Address, Tags: c.Tags, Span: time.Duration(c.SpanMs) * time.Millisecond,
		Requests: c.Errors, Errors: c.Errors, Active: c.Active, CPU: c.CPU, Memory: c.Memory, Utilization: c.Utilization,
	}
	for _, l := range c.Latencies {
		r.Requests += uint64(l[1])
		for range int(l[1]) {
			h.add(time.Duration(l[0] * float64(time.Millisecond)))
		}
	}
	r.Latencies = h.since(&zero)
	b, err := r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c corpusMessage) value(t *testing.T) []byte {
	h := event.HealthStatus{Timestamp: time.UnixMilli(c.TimeMs).UTC(), ServiceID: c.ServiceID, InstanceID: c.InstanceID, Status: event.StatusHealthy, CheckType: "report", Address: c.Address}
	if c.Stops {
		h.Status = event.StatusDraining
	}
	b, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCorpusOfTheClients: what the corpus wants is what this package sends, and smartlb accepts it.
func TestCorpusOfTheClients(t *testing.T) {
	raw, err := os.ReadFile(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	var c corpus
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	same := func(name string, want json.RawMessage, got []byte, err error) json.RawMessage {
		var a, b any
		_ = json.Unmarshal(want, &a)
		_ = json.Unmarshal(got, &b)
		if d := cmp.Diff(a, b); err != nil || d != "" && !*update {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, d)
		}
		return got
	}
	for i, r := range c.Reports {
		got := r.value(t)
		_, err := event.DecodeServiceMetrics(got)
		c.Reports[i].Want = same(r.Name, r.Want, got, err)
	}
	for i, a := range c.Announcements {
		got := a.value(t)
		_, err := event.DecodeHealthStatus(got)
		c.Announcements[i].Want = same(a.Name, a.Want, got, err)
	}
	for _, b := range c.BadSettings {
		if _, err := New(Config{ServiceID: b.ServiceID, InstanceID: b.InstanceID, Address: b.Address, Interval: time.Duration(b.IntervalMs) * time.Millisecond, Publisher: discard{}}); err == nil {
			t.Errorf("%s: accepted", b.Name)
		}
	}
	if *update {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(c); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(corpusFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Publish(*Report) {}
