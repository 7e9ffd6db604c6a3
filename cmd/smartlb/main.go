// Command smartlb is the load balancer and everything around it.
package main

import (
	"os"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/kafka"
	"github.com/smartlb/smartlb/internal/cli/run"
)

func main() { os.Exit(cli.Main(run.Group, kafka.Group)) }
