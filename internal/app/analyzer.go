package app

import "github.com/smartlb/smartlb/internal/telemetry/analyzer"

// newAnalyzer creates the stream processing of this node.
func (a *App) newAnalyzer() (err error) {
	cfg := analyzer.Default()
	cfg.Kafka = a.kafka
	a.analyzer, err = analyzer.New(cfg, a.o.Log)
	return err
}
