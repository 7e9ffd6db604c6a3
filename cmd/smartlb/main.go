// Command smartlb is an HTTP load balancer that routes by live telemetry and stores its data in Kafka. It also contains
// tools for that Kafka.
package main

import (
	"os"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/commands"
)

func main() { os.Exit(cli.Main(commands.All()...)) }
