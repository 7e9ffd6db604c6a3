package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/broker"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/config"
	"github.com/smartlb/smartlb/internal/kafka"
)

// nodeFlags are the flags of a process, shared by up and run.
type nodeFlags struct {
	file, data, admin, console string
	configSource               string
	listen, kafka, explainFrom []string
	brokerListen, brokerInside string
	accessLog                  string
	drain                      time.Duration
	insecure, withParent       bool
	readyFile                  string
	given                      func(flag string) bool // nil: none is
}

func (n *nodeFlags) declare(f *pflag.FlagSet, drain time.Duration) {
	n.given = f.Changed
	f.StringVar(&n.file, "config", "", "configuration `file`; see smartlb config example")
	f.StringVar(&n.configSource, "config-source", "kafka", "kafka: revisions from config-updates win; file: they are ignored")
	f.StringVar(&n.data, "data", "", "`directory` for state (default ./data, or the user's state directory with --demo)")
	f.StringSliceVar(&n.kafka, "kafka", nil, "Kafka brokers, `host:port,...` (default localhost:9092)")
	f.StringArrayVar(&n.listen, "listen", nil, "[NAME=]`address` that replaces a listener's; may be repeated")
	f.StringVar(&n.admin, "admin", "", "`address` of API, /metrics, /healthz, /readyz (default 127.0.0.1:8081)")
	f.StringVar(&n.console, "console", "", "`address` of the web UI (default 127.0.0.1:8083)")
	f.StringVar(&n.brokerListen, "broker-listen", "127.0.0.1:9092", "`address` of the embedded broker")
	f.StringVar(&n.brokerInside, "broker-internal", "127.0.0.1:29092", "its second `address`, for containers and Connect; empty: none")
	f.StringSliceVar(&n.explainFrom, "explain-from", nil, "`CIDR,...` whose clients may ask for X-Smartlb-Decision")
	f.StringVar(&n.accessLog, "access-log", "", "`file` for JSON lines, - for stdout")
	f.DurationVar(&n.drain, "drain", drain, "how long a stop waits for requests")
	f.BoolVar(&n.insecure, "insecure-listen", false, "let admin, console and broker listen beyond loopback, without credentials")
	f.BoolVar(&n.withParent, "with-parent", false, "stop when standard input ends")
	_ = f.MarkHidden("with-parent")
	f.StringVar(&n.readyFile, "ready-file", "", "`file` to write pid and addresses into when the broker serves")
	_ = f.MarkHidden("ready-file")
}

// load makes the document: defaults, then the file, then the environment, then
// flags.
func (n *nodeFlags) load(env *cli.Env) (config.Document, []byte, error) {
	d, traffic := config.Default(), []byte(nil)
	if n.file != "" {
		src, err := os.ReadFile(n.file)
		if err != nil {
			return d, nil, err
		}
		if d, err = config.Parse(src); err != nil {
			return d, nil, Mistakes(n.file, err)
		}
		if traffic, err = config.TrafficPart(src); err != nil {
			return d, nil, Mistakes(n.file, err)
		}
	}
	if err := config.Environment(&d, env.Getenv); err != nil {
		return d, nil, cli.Usagef("%w", err)
	}
	set := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	set(&d.Admin.Address, n.admin)
	set(&d.Console.Address, n.console)
	set(&d.Proxy.AccessLog, n.accessLog)
	if n.data == "" {
		n.data = d.Data.Dir
	}
	if d.Proxy.Drain > 0 && (n.given == nil || !n.given("drain")) {
		n.drain = d.Proxy.Drain
	}
	if len(n.kafka) > 0 {
		d.Kafka.Brokers = n.kafka
		k := kafka.Default()
		if k.Brokers = n.kafka; k.Validate() != nil {
			return d, nil, cli.Usagef("--kafka %s: want host:port,...", strings.Join(n.kafka, ","))
		}
	}
	if n.drain < 0 {
		return d, nil, cli.Usagef("--drain %s: want 0 or more", n.drain)
	}
	for _, c := range n.explainFrom {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return d, nil, cli.Usagef("--explain-from %s: want a CIDR like 127.0.0.0/8", c)
		}
		d.Proxy.ExplainFrom = append(d.Proxy.ExplainFrom, p)
	}
	return d, traffic, n.listeners(&d)
}

// listeners applies --listen [NAME=]ADDR.
func (n *nodeFlags) listeners(d *config.Document) error {
	for _, l := range n.listen {
		name, addr, named := strings.Cut(l, "=")
		switch {
		case !named && len(d.Listeners) == 0:
			d.Listeners = []config.Listener{{Name: "web", Address: l}}
		case !named && len(d.Listeners) == 1:
			d.Listeners[0].Address = l
		case !named:
			return cli.Usagef("--listen %s: there are several listeners, say NAME=ADDR", l)
		default:
			found := false
			for i := range d.Listeners {
				if d.Listeners[i].Name == name {
					d.Listeners[i].Address, found = addr, true
				}
			}
			if !found {
				return cli.Usagef("--listen %s: there is no listener %q", l, name)
			}
		}
	}
	return nil
}

// options makes the options of the process; the caller sets the roles.
func (n *nodeFlags) options(env *cli.Env, d config.Document, traffic []byte) (app.Options, error) {
	if n.configSource != "kafka" && n.configSource != "file" {
		return app.Options{}, cli.Usagef("--config-source %s: allowed are kafka and file", n.configSource)
	}
	b := broker.Default()
	b.External, b.Internal = n.brokerListen, n.brokerInside
	b.Dir = filepath.Join(n.data, "broker")
	return app.Options{
		Document: d, Traffic: traffic, FileName: n.file, DataDir: n.data, Kafka: true, FileOnly: n.configSource == "file",
		Broker: b, Version: cli.ReadVersion().Version, Drain: n.drain, Insecure: n.insecure, ListenFlag: "--listen [NAME=]ADDR", Log: env.Log,
	}, nil
}

// Mistakes puts the file's name before each mistake of a document.
func Mistakes(file string, err error) error {
	var m config.Mistakes
	if !errors.As(err, &m) {
		return err
	}
	lines := make([]string, 0, len(m)+1)
	lines = append(lines, fmt.Sprintf("%s: %d mistakes, nothing was changed", file, len(m)))
	for _, one := range m {
		lines = append(lines, fmt.Sprintf("%s:%d: %s: %s", file, one.Line, one.Path, one.Text))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// stateDir is where a program keeps state that is not in the project.
func stateDir(env *cli.Env) string {
	if d := env.Getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "smartlb")
	}
	if home := env.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "smartlb")
	}
	return filepath.Join(os.TempDir(), "smartlb")
}

// exists says whether a path is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
