// Command smartlb is an HTTP load balancer that routes by live telemetry, with
// Kafka as its memory, and the tools for the Kafka it stands on.
package main

import (
	"os"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/config"
	"github.com/smartlb/smartlb/internal/cli/demo"
	"github.com/smartlb/smartlb/internal/cli/kafka"
	"github.com/smartlb/smartlb/internal/cli/profile"
	"github.com/smartlb/smartlb/internal/cli/routing"
	"github.com/smartlb/smartlb/internal/cli/serve"
)

// groups are all commands.
var groups = []cli.Group{serve.Commands, routing.Commands, config.Commands, kafka.Group, profile.Commands, demo.Commands}

func main() { os.Exit(cli.Main(groups...)) }
