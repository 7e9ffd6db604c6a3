package stackcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/nearest"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

type toolArgs struct {
	cli.Brokers
	dir   string
	words []string
}

// tool runs Apache's own command-line tools from the installed jars.
func tool(env *cli.Env) *cobra.Command {
	c := cli.Verb[toolArgs, cli.None]{
		Use: "tool [flags] NAME [ARGS...]", Short: "Run one of Apache Kafka's own tools from the installed jars",
		Long: "Runs the class behind bin/NAME.sh of Apache Kafka, with the brokers and credentials of -b, --profile or the environment.\n" +
			"ARGS go to the tool as they are; flags of smartlb come before NAME. It needs Java 17 and `smartlb kafka install`, or KAFKA_HOME.\n" +
			"\nTools: " + strings.Join(toolNames(), ", ") + ".",
		Example: "  smartlb kafka tool kafka-topics --list\n" +
			"  smartlb kafka tool kafka-consumer-groups --describe --all-groups\n" +
			"  smartlb kafka tool -b kafka-1:9092 kafka-configs --describe --entity-type brokers --entity-name 1\n" +
			"  smartlb kafka tool --profile prod kafka-acls --list",
		Flags: func(f *pflag.FlagSet, a *toolArgs) {
			a.Declare(f)
			f.StringVar(&a.dir, "dir", "", "`folder` of the installations (default as for smartlb kafka install)")
		},
		Args: func(a *toolArgs, words []string) error {
			if len(words) == 0 {
				return cli.Usagef("NAME is missing; tools: %s", strings.Join(toolNames(), ", "))
			}
			a.words = words
			return nil
		},
		Run:      runTool,
		Complete: func(context.Context, *cli.Env, *toolArgs, []string) []string { return toolNames() },
	}.Command(env)
	c.Flags().SetInterspersed(false)
	return c
}

func toolNames() []string {
	var names []string
	for _, t := range distribution.Tools() {
		names = append(names, t.Name)
	}
	return names
}

func runTool(ctx context.Context, env *cli.Env, a toolArgs) (cli.None, error) {
	t, ok := distribution.FindTool(a.words[0])
	if !ok {
		hint := "; smartlb kafka tool --help lists the tools"
		if near := nearest.Name(a.words[0], toolNames()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return cli.None{}, cli.Usagef("there is no tool %q%s", a.words[0], hint)
	}
	java, err := distribution.FindJava(ctx, env.Getenv)
	if err != nil {
		return cli.None{}, err
	}
	home, err := toolHome(env, a.dir)
	if err != nil {
		return cli.None{}, err
	}
	class, err := home.Class(t)
	if err != nil {
		return cli.None{}, err
	}
	work, err := os.MkdirTemp("", "smartlb-tool")
	if err != nil {
		return cli.None{}, err
	}
	defer os.RemoveAll(work) // the folder may hold a password
	words, err := a.connection(env, t, home, work)
	if err != nil {
		return cli.None{}, err
	}
	line, err := javaLine(home, work, class)
	if err != nil {
		return cli.None{}, err
	}
	c := exec.CommandContext(ctx, java.Program, slices.Concat(line, a.words[1:], words)...)
	c.Stdin, c.Stdout, c.Stderr = env.In, env.Out, env.Err
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = toolGrace
	err = c.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return cli.None{}, ctx.Err()
	case errors.As(err, &ended):
		return cli.None{}, fmt.Errorf("%s ended with %d", t.Name, ended.ExitCode())
	}
	return cli.None{}, err
}

// toolHome returns the folder of the jars: KAFKA_HOME, else that of the last local stack, else the latest installation.
func toolHome(env *cli.Env, dir string) (distribution.Home, error) {
	if home := env.Getenv("KAFKA_HOME"); home != "" && dir == "" {
		return distribution.Open(home)
	}
	if state, err := stack.Dir(env.Getenv); err == nil && dir == "" {
		if c, ok, err := stack.Recall(state); err == nil && ok && c.Home != "" {
			if home, err := distribution.Open(c.Home); err == nil {
				return home, nil
			}
		}
	}
	root, err := installRoot(env, dir)
	if err != nil {
		return distribution.Home{}, err
	}
	for _, m := range []properties.Mode{properties.ModeKRaft, properties.ModeZookeeper} {
		lock, err := lockOf(versionOf(m))
		if err != nil {
			return distribution.Home{}, err
		}
		if at := distribution.At(root, lock.Version); distribution.Complete(lock, at) {
			return distribution.Open(at)
		}
	}
	return distribution.Home{}, fmt.Errorf("Kafka is not installed in %s: run `smartlb kafka install`, or set KAFKA_HOME", root)
}

// connection returns the flags for brokers and login that the user did not give.
func (a toolArgs) connection(env *cli.Env, t distribution.Tool, home distribution.Home, work string) ([]string, error) {
	given := func(flag string) bool {
		return slices.ContainsFunc(a.words, func(w string) bool { return w == flag || strings.HasPrefix(w, flag+"=") })
	}
	if given("--help") || given("--version") || given("--bootstrap-controller") {
		return nil, nil
	}
	var words []string
	if t.Brokers != "" && !given(t.Brokers) {
		cfg, err := a.Config(env)
		if err != nil {
			return nil, err
		}
		words = append(words, t.Brokers, strings.Join(cfg.Brokers, ","))
	}
	client := t.Client
	if home.Major() >= 4 && (client == "--consumer.config" || client == "--producer.config") {
		client = "--command-config"
	}
	if client == "" || given(client) || given(t.Client) {
		return words, nil
	}
	cluster, err := a.Cluster(env)
	if err != nil {
		return nil, err
	}
	file, err := clientProperties(cluster.Security, env.Getenv, os.ReadFile, work)
	if err != nil || file == "" {
		return words, err
	}
	return append(words, client, file), nil
}

// javaLine returns the command line before the tool's own arguments.
func javaLine(home distribution.Home, work, class string) ([]string, error) {
	log := properties.Log{File: filepath.Join(work, "tool.log")} // the tool prints its output; only its log goes to this file
	file, flag := log.Log4j2(), "-Dlog4j2.configurationFile="
	if home.Major() < 4 {
		file, flag = log.Reload4j(), "-Dlog4j.configuration=file:"
	}
	path, jars := filepath.Join(work, "log.properties"), filepath.Join(work, "classpath")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(jars, []byte(home.ArgumentFile()), 0o600); err != nil {
		return nil, err
	}
	return []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true", flag + path, "@" + jars, class}, nil
}
