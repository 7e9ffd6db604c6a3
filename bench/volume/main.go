// Command volume measures what telemetry costs on disk: it runs a fleet that
// only counts requests, with the real reporters of instances and proxies, the
// real analyzer and the embedded broker, and prints the bytes that each topic's
// log grew by, beside the estimate of `smartlb kafka plan --estimate`.
//
//	go run ./bench/volume -instances 200 -proxies 1 -requests 100
//
// Every instance that reports itself is a Kafka client of its own, as in real
// life. They are connected with the broker in memory. -reporting bounds their number; what they write is then scaled up.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

func main() {
	var l topic.Load
	flag.IntVar(&l.Instances, "instances", 200, "instances, 20 of each service")
	flag.IntVar(&l.Proxies, "proxies", 1, "proxies that send to all of them")
	flag.Float64Var(&l.Requests, "requests", 100, "requests per instance and second")
	reporting := flag.Int("reporting", 500, "instances that report themselves at most")
	warm := flag.Duration("warm", time.Minute, "before the measurement")
	span := flag.Duration("for", time.Minute, "how long to measure")
	flag.Parse()
	if err := run(l, *reporting, *warm, *span); err != nil {
		fmt.Fprintln(os.Stderr, "volume:", err)
		os.Exit(1)
	}
}

func run(l topic.Load, reporting int, warm, span time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "smartlb-volume-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	got, err := measure(ctx, dir, l, reporting, warm, span)
	if err != nil {
		return err
	}
	catalog, err := topic.Parse(deployment.Topics)
	if err != nil {
		return err
	}
	fmt.Printf("%d instances (%d report themselves), %d proxies, %g requests/s each; %s after %s\n\n", l.Instances, min(reporting, l.Instances), l.Proxies, l.Requests, span, warm)
	fmt.Println("| topic | records/s | B/s | B/record | kept | estimated |\n|---|---|---|---|---|---|")
	all, estimated := 0.0, topic.EstimateLoad(catalog, l)
	for _, t := range estimated.Topics {
		v, kept := got[t.Topic], 0.0
		if t.PerDay > 0 {
			kept = v.bytes * 86_400 * float64(t.Kept) / float64(t.PerDay)
		}
		all += kept
		fmt.Printf("| %s | %.1f | %.0f | %.0f | %.2f GiB | %.2f GiB |\n", t.Topic, v.records, v.bytes, v.bytes/max(v.records, 1e-9), kept/(1<<30), float64(t.Kept)/(1<<30))
	}
	fmt.Printf("| all | | | | %.2f GiB | %.2f GiB |\n", all/(1<<30), float64(estimated.Kept)/(1<<30))
	return nil
}
