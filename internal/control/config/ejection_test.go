package config

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/picker"
)

func withService(keys string) []byte {
	return []byte("routes: [{name: r, service: s}]\nservices:\n  - {id: s, instances: [{id: i, address: 'h:1'}], " + keys + "}\n")
}

func TestMistakesInEjection(t *testing.T) {
	const at = "services[0].ejection"
	for keys, want := range map[string]string{
		`ejection: {consecutiveFailures: -1}`:                at + ".consecutiveFailures: want 0 to 1000, got -1",
		`ejection: {consecutiveFailures: 1001}`:              at + ".consecutiveFailures: want 0 to 1000, got 1001",
		`ejection: {failureRate: -0.1}`:                      at + ".failureRate: want 0 to 1, got -0.1",
		`ejection: {failureRate: 30}`:                        at + ".failureRate: want 0 to 1, got 30",
		`ejection: {failureRate: .nan}`:                      at + ".failureRate: want a number",
		`ejection: {failureRate: 0.5, minRequests: 0}`:       at + ".minRequests: want 1 to 1000000, got 0",
		`ejection: {failureRate: 0.5, minRequests: 1000001}`: at + ".minRequests: want 1 to 1000000, got 1000001",
		`ejection: {failureRate: 0.5, window: 0s}`:           at + ".window: want 1s to 1h, got 0s",
		`ejection: {failureRate: 0.5, window: 2h}`:           at + ".window: want 1s to 1h, got 2h0m0s",
		`ejection: {minRequests: 10}`:                        at + ".minRequests: has no effect: failureRate is 0",
		`ejection: {window: 10s}`:                            at + ".window: has no effect: failureRate is 0",
		`ejection: {time: 0s}`:                               at + ".time: want 100ms to 24h, got 0s",
		`ejection: {time: 25h}`:                              at + ".time: want 100ms to 24h, got 25h0m0s",
		`ejection: {time: 10s, maxTime: 5s}`:                 at + ".maxTime: want 10s (time) to 24h, got 5s",
		`ejection: {maxTime: 25h}`:                           at + ".maxTime: want 5s (time) to 24h, got 25h0m0s",
		`ejection: {growth: 0}`:                              at + ".growth: want 1 to 10, got 0",
		`ejection: {growth: 11}`:                             at + ".growth: want 1 to 10, got 11",
		`ejection: {maxShare: 1.1}`:                          at + ".maxShare: want 0 to 1, got 1.1",
		`ejection: {maxShare: -1}`:                           at + ".maxShare: want 0 to 1, got -1",
		`ejection: {maxShare: 0, time: 5s}`:                  at + ".time: has no effect: maxShare is 0",
		`panicThreshold: 50`:                                 "services[0].panicThreshold: want 0 to 1, got 50",
		`panicThreshold: -1`:                                 "services[0].panicThreshold: want 0 to 1, got -1",
		`panicThreshold: half`:                               "services[0].panicThreshold: want a number",
	} {
		_, err := Parse(withService(keys))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", keys, err, want)
		}
	}
}

func TestDefaultsOfEjection(t *testing.T) {
	for keys, want := range map[string]picker.Ejection{
		`policy: random`:                picker.DefaultEjection(),
		`ejection: {}`:                  picker.DefaultEjection(),
		`ejection: {time: 10m}`:         {Consecutive: 5, MinRequests: 20, Window: 10 * time.Second, Time: 10 * time.Minute, Growth: 2, MaxTime: 10 * time.Minute, MaxShare: .3},
		`ejection: {maxShare: 0}`:       {Consecutive: 5, MinRequests: 20, Window: 10 * time.Second, Time: 5 * time.Second, Growth: 2, MaxTime: time.Minute},
		`ejection: {failureRate: 0.25}`: {Consecutive: 5, Rate: .25, MinRequests: 20, Window: 10 * time.Second, Time: 5 * time.Second, Growth: 2, MaxTime: time.Minute, MaxShare: .3},
		`ejection: {consecutiveFailures: 0, failureRate: 0.25, minRequests: 5, window: 30s, time: 1s, growth: 1.5, maxTime: 20s, maxShare: 0.5}`: {
			Rate: .25, MinRequests: 5, Window: 30 * time.Second, Time: time.Second, Growth: 1.5, MaxTime: 20 * time.Second, MaxShare: .5},
	} {
		d, err := ParseTraffic(withService(keys))
		if err != nil || d.Services[0].Ejection.Rules() != want || d.Services[0].PanicThreshold != .5 {
			t.Errorf("%s: got %+v, %v", keys, d.Services, err)
		}
	}
	if d, err := ParseTraffic(withService("panicThreshold: 0")); err != nil || d.Services[0].PanicThreshold != 0 {
		t.Errorf("panicThreshold of 0: %v %v", d.Services, err)
	}
}
