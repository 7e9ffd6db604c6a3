package config

import (
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/picker"
)

// Ejection says when the outcomes of requests take an instance out of rotation, and for how long.
type Ejection struct {
	ConsecutiveFailures int `yaml:"consecutiveFailures"` // failures in a row that eject an instance, 0 to 1000. 0: no number does; default 5
	// share of failed requests of an instance within `window` that ejects it, 0 to 1. A response with 429 does not count as
	// failed. 0: no share does; default 0
	FailureRate float64       `yaml:"failureRate"`
	MinRequests int           `yaml:"minRequests"` // requests to the instance within `window` from which `failureRate` counts, 1 to 1000000; default 20
	Window      time.Duration `yaml:"window"`      // time in which requests are counted for `failureRate`, 1s to 1h; default 10s
	Time        time.Duration `yaml:"time"`        // length of the first ejection, 100ms to 24h, give or take 10 %; default 5s
	Growth      float64       `yaml:"growth"`      // factor by which each further ejection is longer, 1 to 10. The count restarts after 60 s in rotation; default 2
	MaxTime     time.Duration `yaml:"maxTime"`     // longest ejection, from `time` to 24h; default 60s
	// share of the instances that may be out at the same time because of requests or of unsigned messages, 0 to 1. At least
	// one may be out, and the last one never is. 0: no outcome of requests takes an instance out; default 0.3
	MaxShare float64 `yaml:"maxShare"`
}

func (e *Ejection) fill(path string, given func(string) bool) {
	d := picker.DefaultEjection()
	orDefault(&e.ConsecutiveFailures, int(d.Consecutive), given(path+".consecutiveFailures"))
	orDefault(&e.MinRequests, int(d.MinRequests), given(path+".minRequests"))
	orDefault(&e.Window, d.Window, given(path+".window"))
	orDefault(&e.Time, d.Time, given(path+".time"))
	orDefault(&e.Growth, d.Growth, given(path+".growth"))
	orDefault(&e.MaxTime, max(d.MaxTime, e.Time), given(path+".maxTime"))
	orDefault(&e.MaxShare, d.MaxShare, given(path+".maxShare"))
}

// Rules returns the rules of a checked ejection.
func (e Ejection) Rules() picker.Ejection {
	return picker.Ejection{
		Consecutive: uint32(e.ConsecutiveFailures), Rate: e.FailureRate, MinRequests: uint64(e.MinRequests), Window: e.Window,
		Time: e.Time, Growth: e.Growth, MaxTime: e.MaxTime, MaxShare: e.MaxShare,
	}
}

// Bounds of the times of an ejection.
const (
	minEjection = 100 * time.Millisecond
	maxEjection = 24 * time.Hour
)

func (c *checker) ejection(path string, e Ejection) {
	if e.ConsecutiveFailures < 0 || e.ConsecutiveFailures > 1000 {
		c.fail(path+".consecutiveFailures", "want 0 to 1000, got %d", e.ConsecutiveFailures)
	}
	if !(e.FailureRate >= 0 && e.FailureRate <= 1) {
		c.fail(path+".failureRate", "want 0 to 1, got %v", e.FailureRate)
	}
	if e.MinRequests < 1 || e.MinRequests > 1_000_000 {
		c.fail(path+".minRequests", "want 1 to 1000000, got %d", e.MinRequests)
	}
	if e.Window < time.Second || e.Window > time.Hour {
		c.fail(path+".window", "want 1s to 1h, got %s", e.Window)
	}
	if e.Time < minEjection || e.Time > maxEjection {
		c.fail(path+".time", "want 100ms to 24h, got %s", e.Time)
	}
	if !(e.Growth >= 1 && e.Growth <= 10) {
		c.fail(path+".growth", "want 1 to 10, got %v", e.Growth)
	}
	if e.MaxTime < e.Time || e.MaxTime > maxEjection {
		c.fail(path+".maxTime", "want %s (time) to 24h, got %s", e.Time, e.MaxTime)
	}
	if !(e.MaxShare >= 0 && e.MaxShare <= 1) {
		c.fail(path+".maxShare", "want 0 to 1, got %v", e.MaxShare)
	}
	c.ejectsNothing(path, e)
}

// ejectsNothing refuses keys that have no effect because of others.
func (c *checker) ejectsNothing(path string, e Ejection) {
	rules := []string{"consecutiveFailures", "failureRate", "minRequests", "window", "time", "growth", "maxTime"}
	reason := ""
	switch {
	case e.MaxShare == 0:
		reason = "maxShare is 0"
	case e.FailureRate == 0:
		rules, reason = []string{"minRequests", "window"}, "failureRate is 0"
	}
	for _, key := range rules {
		if at := path + "." + key; reason != "" && c.at[at] > 0 {
			c.useless(at, "has no effect: %s", reason)
		}
	}
}
