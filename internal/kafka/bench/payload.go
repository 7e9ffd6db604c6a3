package bench

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"time"
)

// Payload describes synthetic service metrics, as a fleet reports them.
type Payload struct {
	Services  int     // number of service ids, which are the keys
	Instances int     // per service
	Skew      float64 // 0: all services report equally often; 1: the n-th reports 1/n as often as the first
	Size      int     // bytes of a value; 0: the size of a report. Larger values carry a tag with noise
}

func (p Payload) check() error {
	switch {
	case p.Services < 1 || p.Instances < 1 || p.Services > 1_000_000 || p.Instances > 1_000_000:
		return errors.New("bench: services and instances must be between 1 and 1,000,000")
	case p.Skew < 0 || p.Skew > 10 || math.IsNaN(p.Skew):
		return fmt.Errorf("bench: a skew of %v is not between 0 and 10", p.Skew)
	case p.Size < 0 || p.Size > 10_485_760:
		return fmt.Errorf("bench: a size of %d is not between 0 and 10485760", p.Size)
	}
	return nil
}

// generator returns a function that makes one report per call. The same seed gives the same reports, except for their
// times. Values change gradually as those of real instances do, so that compression is realistic.
func (p Payload) generator(seed uint64) func(time.Time) (key, value []byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := p.picker(r)
	type instance struct{ rps, p95, errors, connections, cpu, memory float64 }
	fleet := map[int]*instance{}
	return func(at time.Time) ([]byte, []byte) {
		service := pick()
		id := service*p.Instances + r.IntN(p.Instances)
		x := fleet[id]
		if x == nil {
			x = &instance{50 + 200*r.Float64(), 20 + 80*r.Float64(), .02 * r.Float64(), 10 + 40*r.Float64(), .2 + .6*r.Float64(), .3 + .5*r.Float64()}
			fleet[id] = x
		}
		walk := func(v *float64, by, low, high float64) { *v = min(max(*v*(1+by*(r.Float64()-.5)), low), high) }
		walk(&x.rps, .2, 1, 1000)
		walk(&x.p95, .2, 1, 1000)
		walk(&x.errors, .5, .0001, 1)
		walk(&x.connections, .3, 1, 500)
		walk(&x.cpu, .1, .01, 1)
		walk(&x.memory, .02, .05, 1)
		name := "service-" + strconv.Itoa(service)
		b := make([]byte, 0, max(320, p.Size))
		b = append(b, `{"timestamp":"`...)
		b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = append(b, `","serviceId":"`...)
		b = append(b, name...)
		b = append(b, `","instanceId":"`...)
		b = append(b, name...)
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(id%p.Instances), 10)
		b = append(b, `","metrics":{"rps":`...)
		b = strconv.AppendFloat(b, x.rps, 'f', 1, 64)
		b = append(b, `,"p95Latency":`...)
		b = strconv.AppendFloat(b, x.p95, 'f', 2, 64)
		b = append(b, `,"errorRate":`...)
		b = strconv.AppendFloat(b, x.errors, 'f', 4, 64)
		b = append(b, `,"activeConnections":`...)
		b = strconv.AppendInt(b, int64(x.connections), 10)
		b = append(b, `,"cpuUsage":`...)
		b = strconv.AppendFloat(b, x.cpu, 'f', 3, 64)
		b = append(b, `,"memoryUsage":`...)
		b = strconv.AppendFloat(b, x.memory, 'f', 3, 64)
		b = append(b, `},"tags":{"environment":"production","region":"us-east-1"`...)
		const noise, end = `,"noise":"`, `"}}`
		if room := p.Size - len(b) - len(noise) - len(end); room > 0 {
			b = append(b, noise...)
			for range room {
				b = append(b, "abcdefghijklmnopqrstuvwxyz0123456789-_"[r.IntN(38)])
			}
			b = append(b, '"')
		}
		return []byte(name), append(b, "}}"...)
	}
}

// picker returns a function that chooses a service by Zipf's law with the exponent Skew.
func (p Payload) picker(r *rand.Rand) func() int {
	if p.Skew == 0 {
		return func() int { return r.IntN(p.Services) }
	}
	sums, total := make([]float64, p.Services), 0.0
	for i := range sums {
		total += 1 / math.Pow(float64(i+1), p.Skew)
		sums[i] = total
	}
	return func() int { return sort.SearchFloat64s(sums, r.Float64()*total) }
}
