// Command otlp sends metrics of instances with the SDK of OpenTelemetry for Go, once a second until it is ended.
//
//	otlp URL FORM INSTANCE=BUSY ...
//
// FORM is http, delta (HTTP with delta temporality) or grpc. BUSY is the number of busy workers of 100. Each instance has 10 requests in progress and
// ends 20 requests per second, one of them with status 503. The other settings are those of the environment (OTEL_...).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var instances []func()
	for _, arg := range os.Args[3:] {
		id, busy, _ := strings.Cut(arg, "=")
		n, err := strconv.ParseInt(busy, 10, 64)
		if err == nil {
			var work func()
			if work, err = start(ctx, id, n); err == nil {
				instances = append(instances, work)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	tick := time.NewTicker(time.Second)
	for {
		for _, work := range instances {
			work()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func newExporter(ctx context.Context) (metric.Exporter, error) {
	options := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(os.Args[1] + "/v1/metrics"), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression)}
	switch os.Args[2] {
	case "grpc":
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(os.Args[1]), otlpmetricgrpc.WithCompressor("gzip"))
	case "delta":
		options = append(options, otlpmetrichttp.WithTemporalitySelector(func(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	}
	return otlpmetrichttp.New(ctx, options...)
}

// start returns a function that does a second's work of an instance.
func start(ctx context.Context, id string, busy int64) (func(), error) {
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	of := resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("service.instance.id", id))
	meter := metric.NewMeterProvider(metric.WithResource(of), metric.WithReader(metric.NewPeriodicReader(exporter, metric.WithInterval(time.Second)))).Meter("test")
	gauge := func(name string, value int64) error {
		_, err := meter.Int64ObservableGauge(name, api.WithInt64Callback(func(_ context.Context, o api.Int64Observer) error { o.Observe(value); return nil }))
		return err
	}
	if err := gauge("workers.busy", busy); err != nil {
		return nil, err
	}
	if err := gauge("workers.max", 100); err != nil {
		return nil, err
	}
	if err := gauge("http.server.active_requests", 10); err != nil {
		return nil, err
	}
	duration, err := meter.Float64Histogram("http.server.request.duration", api.WithUnit("s"))
	if err != nil {
		return nil, err
	}
	return func() {
		for i := range 20 {
			status := 200
			if i == 0 {
				status = 503
			}
			duration.Record(ctx, .01, api.WithAttributes(attribute.Int("http.response.status_code", status)))
		}
	}, nil
}
