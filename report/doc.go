// Package report publishes the metrics of a Go service for smartlb.
//
// A Reporter counts the requests that pass its HTTP middleware and passes a Report to a Publisher. A Report has the
// requests per second, the 95th percentile and distribution of latency, the error rate and the requests in progress.
// On Linux it also has the CPU and memory of the process, as a share of the limits of its cgroup or else of the
// machine. A service with a better measure of its utilization (a worker pool, a queue) sets Config.Utilization. The
// proxies estimate the capacity of the instance from the rate and the utilization of the same report.
//
// Reporting never disturbs the service: counting takes no lock, and publishers do not block. A report that cannot be
// published is dropped and counted. A Reporter publishes nothing if there were no requests since the last report and
// neither CPU nor utilization is known.
//
// The package imports the standard library only. Package report/kafka publishes to Kafka:
//
//	publisher, err := kafka.NewPublisher(kafka.Config{Brokers: []string{"localhost:9092"}})
//	...
//	reporter, err := report.New(report.Config{ServiceID: "user-service", InstanceID: "user-service-1", Publisher: publisher})
//	...
//	go reporter.Run(ctx)
//	http.ListenAndServe(":9001", reporter.Middleware(mux))
package report
