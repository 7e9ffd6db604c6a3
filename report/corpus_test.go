package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

var update = flag.Bool("update", false, "write what this package sends into the corpus of the clients")

// corpusFile is what the clients of all languages must send. The Go client is the model: -update writes its values.
const corpusFile = "../clients/corpus.json"

type corpus struct {
	Reports       []corpusReport  `json:"reports"`
	Announcements []corpusMessage `json:"announcements"`
	BadSettings   []corpusMessage `json:"badSettings"`
	Signatures    []corpusSigned  `json:"signatures"`
	BadKeys       []corpusSigned  `json:"badKeys"`
	Paces         []corpusPace    `json:"paces"`
}

// corpusSigned is a record and the header that signs it.
type corpusSigned struct {
	Name   string `json:"name"`
	KeyID  string `json:"keyId"`
	Secret string `json:"secret"`
	Topic  string `json:"topic,omitempty"`
	Key    string `json:"key,omitempty"`
	Value  string `json:"value,omitempty"`
	TimeMs int64  `json:"timeMs,omitempty"`
	Want   string `json:"want,omitempty"`
}

func (c corpusSigned) ring() (*sign.Ring, error) {
	return sign.Config{Keys: []sign.Key{{ID: c.KeyID, Secret: "${env:SECRET}"}}}.Ring(func(string) string { return c.Secret }, nil)
}

// corpusPace has what a reporter measures at the end of each interval. Want are the places at which it reports.
type corpusPace struct {
	Name       string       `json:"name"`
	IntervalMs int64        `json:"intervalMs"`
	SteadyMs   int64        `json:"steadyMs"`
	Looks      []corpusLook `json:"looks"`
	Want       []int        `json:"want"`
}

// corpusLook stands for Times equal intervals in a row.
type corpusLook struct {
	Times       int      `json:"times"`
	AfterMs     int64    `json:"afterMs"`
	Requests    uint64   `json:"requests"` // that ended in the interval
	Errors      uint64   `json:"errors"`
	CPU         *float64 `json:"cpu,omitempty"`
	Utilization *float64 `json:"utilization,omitempty"`
}

// reports returns the places of the intervals that end with a report.
func (c corpusPace) reports() []int {
	cfg := Config{Interval: time.Duration(c.IntervalMs) * time.Millisecond, Steady: time.Duration(c.SteadyMs) * time.Millisecond}
	var p pace
	var requests, errs, sent, sentErrs uint64
	now := time.Unix(1000, 0)
	last, place := now, 0
	out := []int{}
	for _, l := range c.Looks {
		for range l.Times {
			now = now.Add(time.Duration(l.AfterMs) * time.Millisecond)
			requests, errs = requests+l.Requests, errs+l.Errors
			if p.due(look{at: now, requests: requests, errors: errs, cpu: l.CPU, utilization: l.Utilization}, &cfg) {
				r := Report{Time: now, Span: now.Sub(last), Requests: requests - sent, Errors: errs - sentErrs}
				r.CPU, r.Utilization = p.means()
				p.published(&r, cfg.Interval, cfg.Steady)
				last, sent, sentErrs = now, requests, errs
				out = append(out, place)
			}
			place++
		}
	}
	return out
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
	for i, g := range c.Signatures {
		ring, err := g.ring()
		if err != nil {
			t.Fatal(err)
		}
		got := string(ring.Sign(g.Topic, []byte(g.Key), []byte(g.Value), time.UnixMilli(g.TimeMs)))
		if got != g.Want && !*update {
			t.Errorf("%s: signature %q, want %q", g.Name, got, g.Want)
		}
		c.Signatures[i].Want = got
	}
	for _, g := range c.BadKeys {
		if _, err := g.ring(); err == nil {
			t.Errorf("%s: accepted", g.Name)
		}
	}
	for i, p := range c.Paces {
		got := p.reports()
		if !slices.Equal(got, p.Want) && !*update {
			t.Errorf("%s: reports at %v, want %v", p.Name, got, p.Want)
		}
		c.Paces[i].Want = got
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
