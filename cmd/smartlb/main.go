// Command smartlb is an HTTP load balancer that routes by live telemetry and stores its data in Kafka. It also contains
// tools for that Kafka.
package main

import (
	"os"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/configcmd"
	"github.com/smartlb/smartlb/internal/cli/democmd"
	"github.com/smartlb/smartlb/internal/cli/kafkacmd"
	"github.com/smartlb/smartlb/internal/cli/profilecmd"
	"github.com/smartlb/smartlb/internal/cli/routing"
	"github.com/smartlb/smartlb/internal/cli/serve"
)

// groups holds all commands.
var groups = []cli.Group{serve.Commands, routing.Commands, configcmd.Commands, kafkacmd.Group, profilecmd.Commands, democmd.Commands}

func main() { os.Exit(cli.Main(groups...)) }
