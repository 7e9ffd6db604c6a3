package main

import (
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/reporter"
)

// configOf is a proxy's reporter with the defaults of a node.
func configOf(node string, now func() int64, producer *kafka.Producer) reporter.Config {
	t := config.Default().Telemetry
	return reporter.Config{
		Node: node, Interval: t.Interval, DecisionRate: t.DecisionRate, SampleRate: t.SampleRate,
		Now: now, Wall: time.Now, Sender: producer, Log: quiet(),
	}
}
