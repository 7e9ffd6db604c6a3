// Package commands lists the commands of smartlb.
package commands

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/configcmd"
	"github.com/smartlb/smartlb/internal/cli/democmd"
	"github.com/smartlb/smartlb/internal/cli/kafkacmd"
	"github.com/smartlb/smartlb/internal/cli/profilecmd"
	"github.com/smartlb/smartlb/internal/cli/routing"
	"github.com/smartlb/smartlb/internal/cli/serve"
	"github.com/smartlb/smartlb/internal/cli/stackcmd"
)

// All returns the commands in the order of the help text.
func All() []cli.Group {
	return []cli.Group{
		titled("Run smartlb", serve.Commands),
		titled("See and control traffic", routing.Commands),
		titled("Configure", configcmd.Commands),
		titled("Work with Kafka", kafka, profilecmd.Commands),
		titled("Try it", democmd.Commands),
	}
}

// kafka returns the noun kafka.
func kafka(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("kafka", "Kafka: start and stop it on this machine; topics, records and groups", "",
		append(kafkacmd.Commands(env), stackcmd.Commands(env)...)...)}
}

// titled puts commands under a heading of the help text.
func titled(heading string, groups ...cli.Group) cli.Group {
	return func(env *cli.Env) (all []*cobra.Command) {
		for _, g := range groups {
			all = append(all, g(env)...)
		}
		for _, c := range all {
			c.GroupID = heading
		}
		return all
	}
}
