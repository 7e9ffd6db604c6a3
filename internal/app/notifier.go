package app

import (
	"context"
	"errors"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
	"github.com/smartlb/smartlb/internal/telemetry/notifier"
)

// newNotifier creates the sender of alerts, if there are receivers.
func (a *App) newNotifier() (err error) {
	if len(a.o.Document.Alerting.Receivers) == 0 {
		return nil
	}
	a.notifier, err = notifier.New(notifier.Config{Kafka: a.kafka, Alerting: a.o.Document.Alerting, Node: a.node}, a.o.Log)
	return err
}

// alertReceivers returns the receivers of this node, and which node sends.
func (a *App) alertReceivers(ctx context.Context) (api.AlertReceivers, error) {
	out := api.AlertReceivers{Node: a.node, Receivers: []api.AlertReceiver{}}
	if a.notifier == nil {
		return out, nil
	}
	s := a.notifier.Status()
	out.Sends = s.Sender
	if s.Sender {
		out.Sender = a.node
	} else if live, err := nodes.Live(ctx, a.kafka, a.o.Log); err == nil { // without Kafka, the sender is unknown
		for _, n := range live {
			if n.SendsAlerts {
				out.Sender = n.Node
			}
		}
	}
	for _, r := range s.Receivers {
		out.Receivers = append(out.Receivers, api.AlertReceiver{
			Name: r.Name, Type: r.Type, Target: r.Target, MinSeverity: r.MinSeverity, SendResolved: r.SendResolved,
			State: receiverState(s.Sender, r), Alerts: r.Alerts, Delivered: r.Delivered, Failed: r.Failed, Dropped: r.Dropped, Missed: r.Missed,
			LastDelivered: readable.Moment(r.LastDelivered), FailingSince: readable.Moment(r.FailingSince),
			Error: r.LastError, NextAttempt: readable.Moment(r.NextAttempt),
		})
	}
	return out, nil
}

// receiverState returns the state of a receiver as this node knows it. A node that does not send knows none.
func receiverState(sender bool, r notifier.ReceiverStatus) string {
	switch {
	case !sender:
		return api.ReceiverUnknown
	case !r.FailingSince.IsZero():
		return api.ReceiverFailing
	case r.Delivered == 0:
		return api.ReceiverUnused
	}
	return api.ReceiverDelivering
}

// testReceiver sends a test message to a receiver.
func (a *App) testReceiver(ctx context.Context, name string) error {
	if a.notifier == nil {
		return problem.Errorf(problem.NotFound, "the configuration of node %s has no receivers of alerts", a.node)
	}
	err := a.notifier.Test(ctx, name)
	switch {
	case errors.Is(err, notifier.ErrUnknown):
		return problem.New(problem.NotFound, errors.New("there is no receiver "+name), "smartlb alerts receivers lists them")
	case err != nil:
		return problem.New(problem.Unavailable, errors.New("receiver "+name+" did not take the message: "+err.Error()), "")
	}
	return nil
}
