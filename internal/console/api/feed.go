package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Changes is the difference between an overview and the overview before it. The numbers of services and instances are
// their positions in the overview that began the stream. Instance numbers start at the first instance of the first
// service.
type Changes struct {
	At        time.Time       `json:"at"`
	Tick      uint64          `json:"tick"`
	Node      *Node           `json:"node,omitempty"`
	Alerts    *[]Alert        `json:"alerts,omitempty"`
	Services  [][]float64     `json:"services"`  // number, rate, errorRate, medianMs, active, panic, headroom and whether it is known: 0 no, 1 yes, 2 as a lower bound
	Instances json.RawMessage `json:"instances"` // rows, see appendRow
	Standing  []Standing      `json:"standing"`  // instances of which more than numbers changed
}

// Standing is the current state of an instance, without history.
type Standing struct {
	N        int      `json:"n"`
	Instance Instance `json:"instance"`
}

// feed makes each event of the overview once, for all open pages. It has no goroutine: if the latest event is old, the
// next caller makes a new event.
type feed struct {
	// moment returns the overview with at most the given number of seconds of history.
	moment func(ctx context.Context, seconds int) (Overview, error)

	mu     sync.Mutex
	number uint64
	made   time.Time
	last   *scene
	recent []payload // the latest changes; the last element has the number in the field number
}

// payload is one encoded event.
type payload struct {
	number uint64
	event  []byte
	zipped []byte // made when the first client with compression needs it
}

// recentChanges is the number of changes that the feed keeps for pages that are behind.
const recentChanges = 5

// feedStep is the time between two events.
const feedStep = time.Second

// scene is an overview in the form in which the feed compares it.
type scene struct {
	shape     string // ids, addresses, policies, health checks: if they change, the stream sends the whole overview again
	node      Node
	alerts    []Alert
	services  [][]float64
	rows      [][]byte
	standings []Instance
}

// join returns the overview, which is the first event of a stream, and its number.
func (f *feed) join(ctx context.Context) (payload, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begin(ctx)
}

func (f *feed) begin(ctx context.Context) (payload, error) {
	o, err := f.moment(ctx, historySeconds)
	if err != nil {
		return payload{}, err
	}
	event, err := appendEvent(nil, "overview", o)
	if err != nil {
		return payload{}, err
	}
	if err := f.advance(o, time.Now()); err != nil {
		return payload{}, err
	}
	return payload{number: f.number, event: event}, nil
}

// next returns the events after number. It returns the whole overview if the page is too far behind, or if the shape of
// the scene changed.
func (f *feed) next(ctx context.Context, number uint64, zip bool) ([]payload, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.made) >= feedStep*9/10 {
		o, err := f.moment(ctx, 1)
		if err != nil {
			return nil, err
		}
		if err := f.advance(o, now); err != nil {
			return nil, err
		}
	}
	var out []payload
	for i := range f.recent {
		p := &f.recent[i]
		if p.number <= number {
			continue
		}
		if p.number != number+1+uint64(len(out)) {
			break
		}
		if zip && p.zipped == nil {
			p.zipped = zipChunk(p.event)
		}
		out = append(out, *p)
	}
	if number+uint64(len(out)) == f.number {
		return out, nil
	}
	p, err := f.begin(ctx)
	return []payload{p}, err
}

// advance compares an overview with the previous overview and stores the changes.
func (f *feed) advance(o Overview, now time.Time) error {
	s := sceneOf(o)
	f.number++
	f.made = now
	was := f.last
	f.last = s
	if was == nil || was.shape != s.shape {
		f.recent = f.recent[:0]
		return nil
	}
	event, err := appendEvent(nil, "changes", changes(o, was, s))
	if err != nil {
		return err
	}
	if len(f.recent) == recentChanges {
		f.recent = append(f.recent[:0], f.recent[1:]...)
	}
	f.recent = append(f.recent, payload{number: f.number, event: event})
	return nil
}

func sceneOf(o Overview) *scene {
	s := &scene{node: o.Node, alerts: o.Alerts}
	var shape bytes.Buffer
	buffer, n := []byte(nil), 0
	var ends []int
	for i, v := range o.Services {
		shape.WriteString(v.ID + "\x00" + v.Policy + "\x00" + v.HealthCheck + "\x00" + strconv.FormatBool(v.Insecure) + "\x01")
		v.Discovery.shape(&shape)
		limit, waiting := 0.0, 0.0
		if q := v.Queue; q != nil {
			fmt.Fprint(&shape, "queue", q.Adaptive)
			limit, waiting = float64(q.Limit), float64(q.Waiting)
		}
		panicking := 0.0
		if v.Panic {
			panicking = 1
		}
		headroom, known := 0.0, 0.0
		if h := v.Headroom; h != nil {
			headroom, known = rounded(h.Rate), 1
			if h.AtLeast {
				known = 2
			}
		}
		s.services = append(s.services, []float64{float64(i), rounded(v.Rate), rounded(v.ErrorRate), rounded(v.MedianMs), float64(v.Active), panicking, limit, waiting, headroom, known})
		for j := range v.Instances {
			in := &v.Instances[j]
			shape.WriteString(in.ID + "\x00" + in.Address + "\x00")
			buffer = appendRow(buffer, n, in, o.At)
			ends = append(ends, len(buffer))
			s.standings = append(s.standings, standing(in))
			n++
		}
	}
	begin := 0
	for _, end := range ends {
		s.rows = append(s.rows, buffer[begin:end])
		begin = end
	}
	s.shape = shape.String()
	return s
}

// shape writes what makes pages load everything anew.
func (d *Discovery) shape(w *bytes.Buffer) {
	if d == nil {
		return
	}
	fmt.Fprint(w, d.Held, d.Hidden)
	for _, s := range d.Sources {
		fmt.Fprint(w, s.Source, s.Instances, s.Saved, s.Stale, s.Error, "\x00")
	}
}

func changes(o Overview, was, is *scene) Changes {
	c := Changes{At: o.At, Tick: o.Tick, Services: [][]float64{}, Standing: []Standing{}}
	if !reflect.DeepEqual(was.node, is.node) {
		c.Node = &is.node
	}
	if !reflect.DeepEqual(was.alerts, is.alerts) {
		alerts := nonNil(is.alerts)
		c.Alerts = &alerts
	}
	for i, v := range is.services {
		if !slices.Equal(v, was.services[i]) {
			c.Services = append(c.Services, v)
		}
	}
	rows := []byte{'['}
	for i, row := range is.rows {
		if !sameStanding(&was.standings[i], &is.standings[i]) {
			c.Standing = append(c.Standing, Standing{i, is.standings[i]})
		}
		if bytes.Equal(row, was.rows[i]) && quiet(row) {
			continue
		}
		if len(rows) > 1 {
			rows = append(rows, ',')
		}
		rows = append(rows, row...)
	}
	c.Instances = append(rows, ']')
	return c
}

// standing returns the instance without its history.
func standing(in *Instance) Instance {
	s := *in
	s.History, s.ErrorHist = []float32{}, []float32{}
	return s
}

// sameStanding compares the visible fields that rows do not carry.
func sameStanding(a, b *Instance) bool {
	if a.State != b.State || a.Condition != b.Condition || a.Failures != b.Failures || !a.Since.Round(time.Second).Equal(b.Since.Round(time.Second)) || !a.Until.Round(time.Second).Equal(b.Until.Round(time.Second)) ||
		a.Ejections != b.Ejections || (a.Facts == nil) != (b.Facts == nil) || (a.Probe == nil) != (b.Probe == nil) || !reflect.DeepEqual(a.DemoFault, b.DemoFault) {
		return false
	}
	if a.Facts != nil && (a.Facts.Known != b.Facts.Known || a.Facts.State != b.Facts.State || !slices.Equal(a.Facts.Reasons, b.Facts.Reasons)) {
		return false
	}
	return a.Probe == nil || (a.Probe.State == b.Probe.State && a.Probe.OK == b.Probe.OK && a.Probe.Status == b.Probe.Status)
}

// appendRow appends the numbers of an instance: its number; requests and errors of the latest second; rate, errorRate,
// p50Ms, p95Ms, p99Ms, inFlight, weight; of the cost total, latencyFactor, errorFactor, error, silence, capacity, veto,
// slowStart, latencyMs; of the facts score, trust and their time, in ms since 1970. Numbers have three significant
// digits, because people read no more.
func appendRow(dst []byte, n int, in *Instance, at time.Time) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(n), 10)
	requests, errors := float32(0), float32(0)
	if k := len(in.History); k > 0 {
		requests, errors = in.History[k-1], in.ErrorHist[k-1]
	}
	dst = appendNumber(appendNumber(dst, float64(requests)), float64(errors))
	for _, v := range [...]float64{
		in.Rate, in.ErrorRate, in.P50Ms, in.P95Ms, in.P99Ms, float64(in.InFlight), in.Weight, in.Cost.Total, in.Cost.LatencyFactor, in.Cost.ErrorFactor, in.Cost.Error,
		in.Cost.Silence, in.Cost.Capacity, in.Cost.Veto, in.Cost.SlowStart, in.Cost.LatencyMs,
	} {
		dst = appendNumber(dst, v)
	}
	if f := in.Facts; f != nil {
		dst = appendNumber(appendNumber(dst, f.Score), math.Round(f.Trust*100)/100)
		asOf := at.Add(-time.Duration(f.AgeMs * float64(time.Millisecond))).UnixMilli()
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, (asOf+50)/100*100, 10)
	}
	return append(dst, ']')
}

func appendNumber(dst []byte, v float64) []byte {
	dst = append(dst, ',')
	if v == math.Trunc(v) && math.Abs(v) < 1e6 {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', 3, 32)
}

// rounded keeps three significant digits, so that noise does not count as a change.
func rounded(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// quiet reports whether a row has no request in the latest second. If no other column changed, the page already has
// this row.
func quiet(row []byte) bool {
	i := bytes.IndexByte(row, ',')
	return bytes.HasPrefix(row[i:], []byte(",0,0,"))
}
