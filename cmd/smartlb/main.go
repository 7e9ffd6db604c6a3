// Command smartlb is an HTTP load balancer that routes by live telemetry and stores its data in Kafka. It also contains
// tools for that Kafka.
package main

import (
	"log/slog"
	"os"

	"k8s.io/klog/v2"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/commands"
)

func main() {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // client-go writes there what it returns as errors too
	os.Exit(cli.Main(commands.All()...))
}
