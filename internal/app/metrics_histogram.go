package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func histogram(name, help string, labels ...string) *family {
	return newFamily("histogram", name, help, labels...)
}

// buckets are the counts of a histogram in both of Prometheus' forms.
type buckets struct {
	count   uint64
	sum     float64            // s
	classic map[float64]uint64 // counts up to each bound in seconds
	native  map[int]int64      // counts by index, schema upstream.NativeSchema
	zero    uint64
	zeroEnd float64 // s
}

// ofRoute converts the durations of a route.
func ofRoute(d upstream.Distribution) buckets {
	zero, first, counts := d.Native()
	b := buckets{count: d.Count(), sum: d.Sum.Seconds(), classic: map[float64]uint64{}, native: map[int]int64{}, zero: zero, zeroEnd: upstream.NativeZero}
	for i, n := range d.Classic() {
		b.classic[upstream.ClassicBounds[i]] = n
	}
	b.addNative(first, counts)
	return b
}

// ofInstance converts the latencies of an instance. Its native buckets are those of its Live; the classic bounds are
// every fourth of them: powers of two in seconds, from 1/1024 s on.
func ofInstance(c keeper.Counted) buckets {
	b := buckets{sum: float64(c.HistSum) / 1e9, classic: map[float64]uint64{}, native: map[int]int64{}, zero: c.Hist[0]}
	_, high := upstream.HistBounds(0)
	b.zeroEnd = high / 1e9
	for i, n := range c.Hist {
		b.count += n
		if _, high := upstream.HistBounds(i); i%4 == 0 && high > 0.9e6 && high < 100e9 {
			b.classic[high/1e9] = b.count
		}
	}
	b.addNative(upstream.HistFirst+2, c.Hist[1:])
	return b
}

// addNative adds the counts of the buckets from index first on.
func (b *buckets) addNative(first int, counts []uint64) {
	for i, n := range counts {
		if n > 0 {
			b.native[first+i] = int64(n)
		}
	}
}

// histogramPair is a histogram in both forms. A scrape in the text format gets the classic form; a Prometheus with native
// histograms scrapes with protocol buffers and gets both.
type histogramPair struct{ classic, native prometheus.Metric }

func newHistogramPair(f *family, b buckets, since time.Time, labels ...string) histogramPair {
	return histogramPair{
		prometheus.MustNewConstHistogram(f.desc, b.count, b.sum, b.classic, labels...),
		prometheus.MustNewConstNativeHistogram(f.desc, b.count, b.sum, b.native, nil, b.zero, upstream.NativeSchema, b.zeroEnd, since, labels...),
	}
}

// Desc implements prometheus.Metric.
func (d histogramPair) Desc() *prometheus.Desc { return d.classic.Desc() }

// Write implements prometheus.Metric.
func (d histogramPair) Write(out *dto.Metric) error {
	var classic dto.Metric
	if err := d.classic.Write(&classic); err != nil {
		return err
	}
	if err := d.native.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = classic.Histogram.Bucket
	return nil
}
