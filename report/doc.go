// Package report lets a Go service tell a smartlb fleet how it is doing.
//
// A Reporter counts the requests that pass its HTTP middleware and hands a Report to a Publisher:
// requests per second, 95th percentile and distribution of latency, error rate, requests in progress, and on Linux
// the CPU and memory of the process as a share of what it may use (its cgroup's limits, else the machine's). A
// service that knows better what keeps it busy (a worker pool, a queue) says so through Config.Utilization. Balancers
// estimate the capacity of the instance from the rate and the utilization of the same report.
//
// Reporting never disturbs the service: counting takes no lock, publishers do not block, and what cannot be published
// is counted and lost. A Reporter with nothing to tell publishes nothing: that is an instance without requests since
// the last report and without known CPU or utilization.
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
