package grouping

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

// world is a receiver with its sender: instances fail and recover, alerts are silenced, messages are lost or delivered
// without an acknowledgement, and senders die.
type world struct {
	t        *rapid.T
	m        *Groups
	now      int
	log      map[string]event.Alert // latest state by fingerprint
	topic    []event.Alert          // the alerts topic
	silences []configlog.Silence

	knows     map[string]string    // the receiver: alertId of alerts that it believes to fire, by fingerprint
	delivered map[string]time.Time // last acknowledged message, by group
	tookOver  int                  // time of the last takeover; -1: none
	flaky     bool
}

func (w *world) change(instance string) {
	a := alert(instance, w.now, 0)
	if was, ok := w.log[a.Fingerprint]; ok && was.Status == event.AlertFiring {
		a = was
		a.Status, a.EndsAt, a.UpdatedAt, a.Seq = event.AlertResolved, at(w.now), at(w.now), uint64(w.now)+1
	}
	if instance == "i4" {
		a.Labels = map[string]string{"service": "cart", "instance": instance}
	}
	w.log[a.Fingerprint] = a
	w.topic = append(w.topic, a)
	w.m.Apply(a, at(w.now))
}

func (w *world) silence(instance string, length int) {
	w.silences = slices.DeleteFunc(w.silences, func(s configlog.Silence) bool { return s.ID == instance })
	w.silences = append(w.silences, configlog.Silence{
		Silence: event.Silence{ID: instance, Labels: map[string]string{"instance": instance}, EndsAt: at(w.now + length)}, Since: at(w.now),
	})
	w.m.Silence(w.silences, at(w.now))
}

// pass lets seconds pass.
func (w *world) pass(seconds int) {
	for end := w.now + seconds; w.now < end; w.now++ {
		for {
			msg, ok := w.m.Take(at(w.now))
			if !ok {
				break
			}
			w.receive(msg)
		}
	}
}

func (w *world) receive(msg Message) {
	if len(msg.Alerts) == 0 {
		w.t.Fatal("an empty message")
	}
	if last, ok := w.delivered[msg.Key]; ok && w.tookOver < 0 && at(w.now).Sub(last) < w.m.c.Interval {
		w.t.Fatalf("%d: %s, %s after the message before", w.now, text(msg), at(w.now).Sub(last))
	}
	arrives, acknowledged := true, true
	if w.flaky {
		arrives = rapid.Bool().Draw(w.t, "arrives")
		acknowledged = arrives && rapid.Bool().Draw(w.t, "acknowledged")
	}
	for _, a := range msg.Alerts {
		if s, ok := configlog.Silenced(w.silences, a, at(w.now)); ok {
			w.t.Fatalf("%d: %s although silence %s", w.now, text(msg), s.ID)
		}
		if !arrives {
			continue
		}
		if a.Status == event.AlertFiring {
			w.knows[a.Fingerprint] = a.AlertID
		} else {
			delete(w.knows, a.Fingerprint)
		}
	}
	if acknowledged {
		w.delivered[msg.Key] = at(w.now)
	}
	w.m.Settle(msg, at(w.now), acknowledged, at(w.now+10))
}

func (w *world) takeOver() {
	w.m = takeOver(w.m, w.now, w.silences, slices.Clone(w.topic)...)
	w.tookOver = w.now
}

// settle ends silences and faults and waits until nothing more is due.
func (w *world) settle() {
	w.flaky = false
	w.silences = nil
	w.m.Silence(nil, at(w.now))
	w.pass(700)
}

func (w *world) check() {
	firing := map[string]string{}
	for fp, a := range w.log {
		if a.Status == event.AlertFiring {
			firing[fp] = a.AlertID
		}
	}
	if !maps.Equal(w.knows, firing) {
		w.t.Fatalf("%d: the receiver believes in %v, and %v fire", w.now, w.knows, firing)
	}
	if mark := w.m.Mark(at(w.now)); mark != (Mark{At: at(w.now)}) {
		w.t.Fatalf("unsettled: %+v", mark)
	}
}

func play(t *testing.T, takeovers bool) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: rt, m: New(settings()), log: map[string]event.Alert{}, knows: map[string]string{}, delivered: map[string]time.Time{}, tookOver: -1}
		w.flaky = rapid.Bool().Draw(rt, "flaky")
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.pass(rapid.SampledFrom([]int{1, 5, 29, 31, 100, 301, 1000}).Draw(rt, "wait"))
			instance := fmt.Sprint("i", rapid.IntRange(1, 4).Draw(rt, "instance"))
			switch rapid.SampledFrom([]string{"change", "change", "change", "silence", "unsilence", "takeover"}).Draw(rt, "step") {
			case "change":
				w.change(instance)
			case "silence":
				w.silence(instance, rapid.IntRange(1, 2000).Draw(rt, "length"))
			case "unsilence":
				w.silences = slices.DeleteFunc(w.silences, func(s configlog.Silence) bool { return s.ID == instance })
				w.m.Silence(w.silences, at(w.now))
			case "takeover":
				if takeovers {
					w.takeOver()
				}
			}
		}
		w.settle()
		w.check()
		if n := w.m.Stats().Dropped; n != 0 {
			rt.Fatalf("%d dropped", n)
		}
	})
}

// Whatever happens to messages, the receiver finally believes in the alerts that fire, and in no other. No message
// mentions a silenced alert, and messages about a group keep their distance.
func TestAReceiverFinallyKnowsWhatFires(t *testing.T) { play(t, false) }

// The same while senders die, each with the mark that it wrote last.
func TestAReceiverFinallyKnowsWhatFiresAfterTakeovers(t *testing.T) { play(t, true) }

// Takeovers of a receiver that acknowledged everything cause no message at all.
func TestTakeoversCauseNoMessages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: rt, m: New(settings()), log: map[string]event.Alert{}, knows: map[string]string{}, delivered: map[string]time.Time{}, tookOver: -1}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			w.pass(rapid.IntRange(1, 400).Draw(rt, "wait"))
			w.change(fmt.Sprint("i", rapid.IntRange(1, 4).Draw(rt, "instance")))
		}
		w.settle()
		w.check()
		before := w.m
		w.takeOver()
		for s := range 60 {
			old, repeated := before.Take(at(w.now + s))
			if repeated {
				before.Settle(old, at(w.now+s), true, time.Time{})
			}
			msg, ok := w.m.Take(at(w.now + s))
			if !ok {
				continue
			}
			w.m.Settle(msg, at(w.now+s), true, time.Time{})
			for _, a := range msg.Alerts { // only a repetition that is due anyway
				if at(w.now+s).Sub(Began(a)) < w.m.c.Repeat {
					rt.Fatalf("%s is repeated %s after it began", text(msg), at(w.now+s).Sub(Began(a)))
				}
			}
		}
	})
}

// An Alertmanager that acknowledged the last minutes has exactly the alerts that fire.
func TestAFeedHasWhatFires(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f, log, now := NewFeed(event.SeverityInfo), map[string]event.Alert{}, 0
		var topic []event.Alert
		believes := map[string]time.Time{} // until when, by fingerprint
		pass := func(seconds int) {
			for end := now + seconds; now < end; now++ {
				msg, ok := f.Take(at(now))
				if !ok {
					continue
				}
				good := rapid.IntRange(0, 3).Draw(rt, "result") > 0
				for _, a := range msg.Alerts {
					if good && a.Status == event.AlertFiring {
						believes[a.Fingerprint] = at(now).Add(FeedValid)
					} else if good {
						believes[a.Fingerprint] = a.EndsAt
					}
				}
				f.Settle(msg, at(now), good, at(now+5))
			}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			pass(rapid.IntRange(1, 200).Draw(rt, "wait"))
			a := alert(fmt.Sprint("i", rapid.IntRange(1, 3).Draw(rt, "instance")), now, 0)
			if was := log[a.Fingerprint]; was.Status == event.AlertFiring {
				a = was
				a.Status, a.EndsAt, a.UpdatedAt, a.Seq = event.AlertResolved, at(now), at(now), uint64(now)+1
			}
			log[a.Fingerprint] = a
			topic = append(topic, a)
			f.Apply(a, at(now))
			if rapid.IntRange(0, 5).Draw(rt, "takeover") == 0 {
				f = NewFeed(event.SeverityInfo)
				for _, a := range topic {
					f.Recall(a, Mark{At: at(now)}, at(now))
				}
			}
		}
		pass(150)
		for fp, a := range log {
			if on := believes[fp].After(at(now)); on != (a.Status == event.AlertFiring) {
				rt.Fatalf("%s is %s, and the receiver believes it until %s", fp, a.Status, believes[fp])
			}
		}
	})
}
