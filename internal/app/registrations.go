package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/control/discovery"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// registrationPace is the time between two looks at what services permit, and at the connection.
const registrationPace = 250 * time.Millisecond

// followRegistrations reads the messages of instances while a service permits them to register themselves.
func (a *App) followRegistrations(ctx context.Context) error {
	r := a.registrations
	for backoff.Sleep(ctx, registrationPace) {
		if reading := r.Wanted(); reading != 0 {
			if err := a.readRegistrations(ctx, reading); err != nil {
				return err
			}
		}
	}
	return nil
}

// readRegistrations reads the messages of the last minutes and those that follow, until they must be read again.
func (a *App) readRegistrations(ctx context.Context, reading uint64) error {
	r := a.registrations
	var caughtUp atomic.Bool
	tail, err := kafka.NewTail(a.kafka, kafka.TailConfig{
		Topics: []string{event.TopicServiceMetrics, event.TopicHealthStatus}, From: kafka.FromAgo(discovery.RegistrationAge),
		OnCaughtUp: func() { caughtUp.Store(true) },
	}, a.o.Log)
	if err != nil {
		return err
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for backoff.Sleep(own, registrationPace) {
			if r.Wanted() != reading {
				cancel()
				return
			}
			r.Live(caughtUp.Load() && tail.Connected(), tail.LastContact())
		}
	}()
	defer func() { cancel(); <-watched; r.Live(false, tail.LastContact()) }()
	return tail.Run(own, func(batch []kafka.Record) {
		for _, record := range batch {
			a.announced(record)
		}
	})
}

// maxAnnouncement is the longest message of an instance about itself in bytes; a usual one has about 500.
const maxAnnouncement = 64 << 10

// announced handles a message of an instance about itself.
func (a *App) announced(r kafka.Record) {
	if _, other := r.Header(event.HeaderReporter); other || len(r.Value) > maxAnnouncement {
		return // a proxy or a collector reports about the instance
	}
	header, _ := r.Header(event.HeaderAddress)
	var of discovery.Announcement
	switch r.Topic {
	case event.TopicServiceMetrics:
		m, err := event.DecodeServiceMetrics(r.Value)
		if err != nil {
			return
		}
		of = discovery.Announcement{Service: m.ServiceID, Instance: m.InstanceID, Address: m.Address, Tags: m.Tags}
	case event.TopicHealthStatus:
		h, err := event.DecodeHealthStatus(r.Value)
		if err != nil {
			return
		}
		of = discovery.Announcement{Service: h.ServiceID, Instance: h.InstanceID, Address: h.Address}
		of.Leaving, of.Staying = h.Status == event.StatusDraining, h.Status != event.StatusDraining
	default:
		return
	}
	if len(header) > 0 {
		of.Address = string(header)
	}
	if by := a.kafka.Verify(r); by.SpeaksFor(of.Service) {
		of.Signed = by.At
	}
	if why := a.registrations.Observe(of, time.Now()); why != "" {
		a.kafka.Skips.Add(r, why, a.o.Log)
	}
}
