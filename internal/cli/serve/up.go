package serve

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/app/children"
	"github.com/smartlb/smartlb/internal/event"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/stack"
)

type upArgs struct {
	nodeFlags
	demo      bool
	demoPorts int
	demoRate  float64
}

// firstDemoPort is the default of --demo-ports. lastDemoPort is its highest value, so that the last instance still has
// a valid port.
const (
	firstDemoPort = 9001
	lastDemoPort  = 65535 - 22
	maxDemoRate   = 1000
)

// Up is `smartlb up`.
func Up(env *cli.Env) *cobra.Command {
	return cli.Verb[upArgs, cli.None]{
		Use: "up", Short: "Run everything on this machine: broker, proxy, analyzer, collector and console",
		Long: "Proxy, analyzer and collector run in this process, the console and an embedded Kafka broker in child processes. With --demo,\nalso three services with eleven instances and a light load. Ctrl-C stops everything.",
		Example: `  smartlb up --demo
  smartlb up --config smartlb.yaml --data /var/lib/smartlb
  smartlb up --config smartlb.yaml --kafka kafka-1:9092,kafka-2:9092`,
		Flags: func(f *pflag.FlagSet, a *upArgs) {
			a.declare(f, 3*time.Second)
			f.BoolVar(&a.demo, "demo", false, "run demo services and load, with a separate state folder")
			f.IntVar(&a.demoPorts, "demo-ports", firstDemoPort, "first `port` of the demo instances, which use 9001-9004, 9011-9014 and 9021-9023 by default")
			f.Float64Var(&a.demoRate, "demo-rate", 1, "scale of the demo's load of 20 requests per second; 0: none")
		},
		Run: up,
	}.Command(env)
}

func up(ctx context.Context, env *cli.Env, a upArgs) (cli.None, error) {
	defer env.LogAside()()
	if a.demo && a.file != "" {
		return cli.None{}, cli.Usagef("--demo has its own configuration; use either --demo or --config, not both")
	}
	if a.demoPorts < 1 || a.demoPorts > lastDemoPort {
		return cli.None{}, cli.Usagef("--demo-ports %d: want 1 to %d", a.demoPorts, lastDemoPort)
	}
	if !(a.demoRate >= 0 && a.demoRate <= maxDemoRate) {
		return cli.None{}, cli.Usagef("--demo-rate %v: want 0 to %d", a.demoRate, maxDemoRate)
	}
	d, traffic, err := a.load(env)
	if err != nil {
		return cli.None{}, err
	}
	if a.data == "" {
		a.data = "data"
		if a.demo {
			a.data = filepath.Join(stateDir(env), "demo")
		}
	}
	if a.demo {
		if traffic, err = a.demoDocument(&d); err != nil {
			return cli.None{}, err
		}
	}
	o, err := a.options(env, d, traffic)
	if err != nil {
		return cli.None{}, err
	}
	o.Roles = []string{event.RoleProxy, event.RoleAnalyzer, event.RoleCollector}
	undo, err := inherit(env, &o, &a.nodeFlags)
	if err != nil {
		return cli.None{}, err
	}
	defer undo()
	o.Upgrade.Refused = "smartlb up runs further processes: restart it"
	program, err := os.Executable()
	if err != nil {
		return cli.None{}, err
	}
	note, console, ours, err := a.runningStack(env, &o)
	if err != nil {
		return cli.None{}, err
	}
	return cli.None{}, ended(children.Run(ctx, children.Options{
		Node: o, KafkaGiven: note != "", KafkaNote: note, BrokerListen: a.brokerListen, BrokerInside: a.brokerInside,
		Console: console, OwnConsole: ours, ConsoleArgs: a.consoleArgs(), WithDemo: a.demo, DemoOffset: a.demoPorts - firstDemoPort, DemoRate: a.demoRate, Program: program, Out: env.Out,
	}))
}

// runningStack returns the source of the brokers: --kafka, --profile, or the stack that runs on this machine. An empty
// note means that up must start a broker. If that stack has a console, up starts no console unless --console is given.
func (a upArgs) runningStack(env *cli.Env, o *app.Options) (note, console string, ours bool, err error) {
	if len(a.kafka) > 0 {
		return "given by --kafka", "", true, nil
	}
	if a.profile != "" {
		return "of the profile " + a.profile, "", true, nil
	}
	dir, err := stack.Dir(env.Getenv)
	if err != nil {
		return "", "", false, err
	}
	found, ok := stack.Find(dir)
	if !ok {
		return "", "", true, nil
	}
	o.Document.Kafka.Brokers = []string{found.Address}
	ours = true
	if found.UI != "" && a.nodeFlags.console == "" {
		console, ours = "http://"+found.UI, false
	}
	return fmt.Sprintf("the stack that runs here, %s, pid %d", found.Runtime, found.PID), console, ours, nil
}

// consoleArgs returns the flags with which the console's process reads the same settings as this process.
func (a upArgs) consoleArgs() []string {
	var args []string
	if a.file != "" {
		args = append(args, "--config", a.file)
	}
	if a.profile != "" {
		args = append(args, "--profile", a.profile)
	}
	return args
}

// demoLogged is the share of the demo's requests that the page Requests shows: two each second, each a batch of the broker.
const demoLogged = .1

// demoDocument returns the demo's configuration: its fleet, explanations for clients on this machine, and a sample of the
// access log in Kafka, unless the access log is configured otherwise.
func (a upArgs) demoDocument(d *config.Document) ([]byte, error) {
	listen := ":8080"
	if len(a.listen) > 0 {
		listen = a.listen[len(a.listen)-1]
		if _, addr, named := strings.Cut(listen, "="); named {
			listen = addr
		}
	}
	text := demo.Traffic(demo.Fleet(a.demoPorts-firstDemoPort), listen)
	t, err := config.ParseTraffic(text)
	if err != nil {
		return nil, err
	}
	d.Traffic = t
	d.Proxy.ExplainFrom = append(d.Proxy.ExplainFrom, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	if log := &d.Proxy.AccessLogOptions; d.Proxy.AccessLog == "" && d.Telemetry.Logs.Endpoint == "" && !log.Kafka {
		log.Kafka, log.Sample = true, demoLogged
	}
	return text, nil
}
