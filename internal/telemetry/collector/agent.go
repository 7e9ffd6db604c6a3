package collector

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// maxLine limits the answer of an agent, in bytes. HAProxy reads one buffer.
const maxLine = 1024

// agent is what an agent said so far. An answer changes only what it names, as with HAProxy. The zero value is an agent that
// said nothing.
type agent struct {
	admin  string  // ready, drain or maint; empty: not said
	down   string  // down, fail or stopped; empty: up, or not said
	weight float64 // share of the configured weight
	given  bool    // weight was said
	note   string  // text after #
}

const between = " \t,"

var errAgentEmpty = errors.New("the agent answered nothing")

// apply reads a line of an agent, as HAProxy does: words between blanks or commas, and a note from a word that begins with #.
// The words beside an unknown word count; the error names it.
func (a *agent) apply(line string) error {
	if i := strings.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	note := ""
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || strings.IndexByte(between, line[i-1]) >= 0) {
			line, note = line[:i], line[i+1:]
			break
		}
	}
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(between, r) })
	if len(words) == 0 {
		return errAgentEmpty
	}
	a.note = strings.TrimSpace(note)
	var bad error
	for _, w := range words {
		switch word := strings.ToLower(w); {
		case word == "ready", word == "drain", word == "maint":
			a.admin = word
		case word == "up":
			a.down = ""
		case word == "down", word == "fail", word == "stopped":
			a.down = word
		case strings.HasPrefix(word, "maxconn:"): // smartlb has no limit of connections that an instance could set
		case strings.HasSuffix(word, "%"):
			n, err := strconv.ParseUint(word[:len(word)-1], 10, 16)
			if err != nil {
				bad = fmt.Errorf("unknown word %.40q", w)
				continue
			}
			a.weight, a.given = float64(n)/100, true
		default:
			bad = fmt.Errorf("unknown word %.40q", w)
		}
	}
	return bad
}

// status returns the status of the instance by its agent. A weight of 0 drains, as with HAProxy.
func (a *agent) status() string {
	switch {
	case a.admin == "drain", a.admin == "maint", a.given && a.weight == 0:
		return event.StatusDraining
	case a.down != "":
		return event.StatusUnhealthy
	}
	return event.StatusHealthy
}

// said returns what the agent said, for people.
func (a *agent) said() string {
	var parts []string
	for _, p := range []string{a.admin, a.down} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if a.given {
		parts = append(parts, strconv.FormatFloat(100*a.weight, 'f', -1, 64)+"%")
	}
	if len(parts) == 0 {
		parts = append(parts, "up")
	}
	if a.note != "" {
		parts = append(parts, "#"+a.note)
	}
	return strings.Join(parts, " ")
}

// message returns the health-status of the instance.
func (a *agent) message(service, instance string, at time.Time, took time.Duration) event.HealthStatus {
	h := event.HealthStatus{
		Timestamp: at.UTC().Truncate(time.Millisecond), ServiceID: service, InstanceID: instance, Status: a.status(), CheckType: "AGENT",
		ResponseTime: event.Some(float64(took.Microseconds()) / 1000), Details: event.HealthDetails{ResponseBody: a.said()},
	}
	if a.given {
		h.Weight = event.Some(a.weight)
	}
	return h
}
