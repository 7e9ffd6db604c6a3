package serve

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/base/state"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/profile"
	"github.com/smartlb/smartlb/internal/stack/broker"
)

// nodeFlags are the flags that up and run share.
type nodeFlags struct {
	file, data, admin, console, otlp string
	configSource                     string
	listen, kafka, explainFrom       []string
	profile                          string
	brokerListen, brokerInside       string
	accessLog                        string
	drain, lameDuck                  time.Duration
	insecure, withParent             bool
	readOnly, watch                  bool
	readyFile                        string
	sum                              app.Sum                // of the file that load read
	given                            func(flag string) bool // reports whether a flag is given; nil: no flag is
}

func (n *nodeFlags) declare(f *pflag.FlagSet, drain time.Duration) {
	n.given = f.Changed
	f.StringVar(&n.file, "config", "", "configuration `file`; see smartlb config example")
	f.BoolVar(&n.watch, "watch", false, "apply a changed --config file without SIGHUP, within 2s")
	f.StringVar(&n.configSource, "config-source", "kafka", "kafka: revisions from config-updates replace the file; file: they are ignored")
	f.StringVar(&n.data, "data", "", "`directory` for state (default ./data, or the user's state directory with --demo)")
	f.StringSliceVar(&n.kafka, "kafka", nil, "Kafka brokers, `host:port,...` (default localhost:9092)")
	f.StringVar(&n.profile, "profile", "", "`name` of a profile with brokers and credentials, instead of the file's; see smartlb profile")
	f.StringArrayVar(&n.listen, "listen", nil, "[NAME=]`address` that replaces a listener's; may be repeated")
	f.StringVar(&n.admin, "admin", "", "`address` of API, /metrics, /healthz, /readyz (default "+config.DefaultAdmin+")")
	f.StringVar(&n.otlp, "otlp", "", "`address` that takes metrics of instances by OTLP, with the role collector (default none)")
	f.StringVar(&n.console, "console", "", "`address` of the web UI (default 127.0.0.1:8083)")
	f.StringVar(&n.brokerListen, "broker-listen", "127.0.0.1:9092", "`address` of the embedded broker")
	f.StringVar(&n.brokerInside, "broker-internal", "127.0.0.1:29092", "second `address` of the embedded broker, for containers and Connect; empty: none")
	f.StringSliceVar(&n.explainFrom, "explain-from", nil, "`CIDR,...` of clients that may request X-Smartlb-Decision")
	f.StringVar(&n.accessLog, "access-log", "", "`file` of the access log, - for stdout")
	f.DurationVar(&n.drain, "drain", drain, "how long a stop waits for requests; exit code 4 if it then cuts some")
	f.DurationVar(&n.lameDuck, "lame-duck", 0, "how long a stop continues to accept requests while /readyz already fails")
	f.BoolVar(&n.readOnly, "read-only", false, "refuse every change through the web UI")
	f.BoolVar(&n.insecure, "insecure-listen", false, "allow admin, console and broker to listen on non-loopback addresses without credentials")
	f.BoolVar(&n.withParent, "with-parent", false, "stop when standard input ends")
	_ = f.MarkHidden("with-parent")
	f.StringVar(&n.readyFile, "ready-file", "", "`file` for pid and addresses, written when the broker serves")
	_ = f.MarkHidden("ready-file")
}

// load builds the document from defaults, file, environment and flags. Later sources take precedence.
func (n *nodeFlags) load(env *cli.Env) (config.Document, []byte, error) {
	d, traffic := config.Default(), []byte(nil)
	if n.file != "" {
		n.sum = app.Sum{}
		src, err := config.ReadFile(n.file)
		if err != nil {
			return d, nil, err
		}
		n.sum = app.SumOf(src)
		if d, err = config.Parse(src); err != nil {
			return d, nil, cli.Mistakes(n.file, err)
		}
		if traffic, err = config.TrafficPart(src); err != nil {
			return d, nil, cli.Mistakes(n.file, err)
		}
		cli.Warn(env, n.file, d.Warnings)
	}
	ofFile := d.Kafka
	if err := config.Environment(&d, env.Getenv); err != nil {
		return d, nil, cli.Usagef("%w", err)
	}
	if err := n.cluster(env, &d.Kafka, ofFile); err != nil {
		return d, nil, err
	}
	set := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	set(&d.Admin.Address, n.admin)
	set(&d.Telemetry.OTLP.Address, n.otlp)
	set(&d.Console.Address, n.console)
	set(&d.Proxy.AccessLog, n.accessLog)
	d.Console.ReadOnly = d.Console.ReadOnly || n.readOnly
	if n.data == "" {
		n.data = d.Data.Dir
	}
	if d.Proxy.Drain > 0 && (n.given == nil || !n.given("drain")) {
		n.drain = d.Proxy.Drain
	}
	if n.given == nil || !n.given("lame-duck") {
		n.lameDuck = max(n.lameDuck, d.Proxy.LameDuck)
	}
	for flag, v := range map[string]time.Duration{"drain": n.drain, "lame-duck": n.lameDuck} {
		if v < 0 {
			return d, nil, cli.Usagef("--%s %s: want 0 or more", flag, v)
		}
	}
	for _, c := range n.explainFrom {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return d, nil, cli.Usagef("--explain-from %s: want a CIDR like 127.0.0.0/8", c)
		}
		d.Proxy.ExplainFrom = append(d.Proxy.ExplainFrom, p)
	}
	return d, traffic, nil
}

// cluster sets the node's brokers and credentials. It uses the first of these sources that is set: --kafka, --profile,
// SMARTLB_KAFKA_BROKERS, KAFKA_BROKER, the file, the default. Only a flag makes a node use a profile: the profile in
// use and SMARTLB_PROFILE belong to the person at the terminal. KAFKA_BROKER is set for other programs too. If it names
// brokers that the file does not name, the credentials in the file do not apply to them.
func (n *nodeFlags) cluster(env *cli.Env, k *config.Kafka, ofFile config.Kafka) error {
	if n.profile != "" {
		c, _, err := profile.Named(env.Getenv, n.profile)
		if err != nil {
			return cli.Usagef("%w", err)
		}
		k.Brokers, k.TLS, k.SASL = c.Brokers, c.TLS, c.SASL
	}
	if len(n.kafka) > 0 {
		c := kafka.Default()
		if c.Brokers = n.kafka; c.Validate() != nil {
			return cli.Usagef("--kafka %s: want host:port,...", strings.Join(n.kafka, ","))
		}
		k.Brokers = n.kafka
	}
	ambient := env.Getenv("KAFKA_BROKER")
	said := n.profile != "" || len(n.kafka) > 0 || env.Getenv("SMARTLB_KAFKA_BROKERS") != ""
	secret := ofFile.SASL.On() || ofFile.TLS.Cert != ""
	named := !slices.Equal(ofFile.Brokers, config.Default().Kafka.Brokers)
	if said || ambient == "" || !secret || !named || slices.Equal(k.Brokers, ofFile.Brokers) {
		return nil
	}
	return cli.Usagef("KAFKA_BROKER names %s, and %s has credentials for %s: unset KAFKA_BROKER, or name the brokers with --kafka or SMARTLB_KAFKA_BROKERS",
		ambient, n.file, strings.Join(ofFile.Brokers, ","))
}

// listenFlags reads --listen [NAME=]ADDRESS. A name that the file does not have is a mistake, unless the listeners come
// from config-updates.
func (n *nodeFlags) listenFlags(d config.Document) ([]app.Listen, error) {
	var own []app.Listen
	for _, l := range n.listen {
		name, addr, named := strings.Cut(l, "=")
		if !named {
			name, addr = "", l
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, cli.Usagef("--listen %s: want [NAME=]host:port or [NAME=]unix:/path, such as :8080 or web=127.0.0.1:8080", l)
		}
		own = append(own, app.Listen{Name: name, Address: addr})
	}
	_, unknown, err := app.Listeners(d.Listeners, own)
	if err != nil {
		return nil, cli.Usagef("%w", err)
	}
	if len(unknown) > 0 && len(d.Listeners) > 0 {
		return nil, cli.Usagef("--listen %s: the file has no listener of this name", strings.Join(unknown, ", "))
	}
	return own, nil
}

// options returns the options of the process. The caller sets the roles.
func (n *nodeFlags) options(env *cli.Env, d config.Document, traffic []byte) (app.Options, error) {
	if n.configSource != "kafka" && n.configSource != "file" {
		return app.Options{}, cli.Usagef("--config-source %s: allowed are kafka and file", n.configSource)
	}
	if err := n.watchable(); err != nil {
		return app.Options{}, err
	}
	own, err := n.listenFlags(d)
	if err != nil {
		return app.Options{}, err
	}
	b := broker.Default()
	b.External, b.Internal = n.brokerListen, n.brokerInside
	b.Dir = filepath.Join(n.data, "broker")
	return app.Options{
		Document: d, Traffic: traffic, FileName: n.file, DataDir: n.data, Kafka: true, FileOnly: n.configSource == "file",
		Broker: b, Version: cli.ReadVersion().Version, Drain: n.drain, LameDuck: n.lameDuck, Insecure: n.insecure, Listen: own, ListenFlag: "--listen [NAME=]ADDR", Log: env.Log,
	}, nil
}

// watchable returns an error if --watch has no file whose changes can be seen. To read a pipe again would block.
func (n *nodeFlags) watchable() error {
	if !n.watch {
		return nil
	}
	if n.file == "" {
		return cli.Usagef("--watch: there is no file to watch; add --config FILE")
	}
	if info, err := os.Stat(n.file); err == nil && !info.Mode().IsRegular() {
		return cli.Usagef("--watch: %s is not a regular file; leave out --watch, or write the configuration to a file", n.file)
	}
	return nil
}

// stateDir returns the folder for state outside the project.
func stateDir(env *cli.Env) string {
	if d := state.UserFolder(env.Getenv, "XDG_STATE_HOME", ".local/state"); d != "" {
		return filepath.Join(d, "smartlb")
	}
	return filepath.Join(os.TempDir(), "smartlb")
}
