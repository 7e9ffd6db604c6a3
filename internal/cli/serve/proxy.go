package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

type proxyArgs struct {
	from, policy, healthPath, accessLog, admin, protocol string
	tlsCert, tlsKey                                      string
	to, kafka, explainFrom                               []string
	healthInterval, connectTimeout, timeout              time.Duration
	drain, lameDuck                                      time.Duration
	retries                                              int
	sample                                               float64
	given                                                func(flag string) bool
}

// Proxy is `smartlb proxy`: a proxy configured by flags, without a file, and without Kafka by default.
func Proxy(env *cli.Env) *cobra.Command {
	return cli.Verb[proxyArgs, cli.None]{
		Use: "proxy --from ADDR --to HOST:PORT,HOST:PORT...", Short: "Balance between instances without a file and without Kafka",
		Long: "Listens on one address and balances requests between instances of one service, named `default`.\nKAFKA_BROKER is ignored here; use --kafka for telemetry.",
		Example: `  smartlb proxy --from :8080 --to 127.0.0.1:9001,127.0.0.1:9002
  smartlb proxy --from :8080 --to 10.0.0.1:80,10.0.0.2:80 --policy least_request --health-path /health
  smartlb proxy --from :8080 --to 127.0.0.1:9001,127.0.0.1:9002 --access-log - --retries 0
  smartlb proxy --from :8080 --to 127.0.0.1:50051,127.0.0.1:50052 --upstream-protocol h2c
  smartlb proxy --from :8443 --to 127.0.0.1:9001 --tls-cert server.pem --tls-key server.key`,
		Defaults: proxyArgs{from: ":8080", policy: picker.DefaultPolicy, healthInterval: 2 * time.Second, connectTimeout: time.Second, retries: 2, drain: 30 * time.Second, sample: .01},
		Flags: func(f *pflag.FlagSet, a *proxyArgs) {
			a.given = f.Changed
			f.StringVar(&a.from, "from", a.from, "`address` to listen on: host:port or unix:/path")
			f.StringVar(&a.tlsCert, "tls-cert", "", "`file` with certificate and chain in PEM; clients then connect by TLS. Changed files are taken over")
			f.StringVar(&a.tlsKey, "tls-key", "", "`file` with the private key in PEM")
			f.StringSliceVar(&a.to, "to", nil, "instances, `host:port,...`; unix:/path for a Unix socket")
			f.StringVar(&a.policy, "policy", a.policy, "one of "+strings.Join(picker.Names(), ", "))
			f.StringVar(&a.protocol, "upstream-protocol", "http1", "what the instances speak: http1, or h2c (HTTP/2 without TLS, gRPC)")
			f.StringVar(&a.healthPath, "health-path", "", "`path` of an HTTP health check (default: connect only)")
			f.DurationVar(&a.healthInterval, "health-interval", a.healthInterval, "between health checks; 0: none")
			f.IntVar(&a.retries, "retries", a.retries, "retries on other instances, 0 to 3")
			f.DurationVar(&a.connectTimeout, "connect-timeout", a.connectTimeout, "per try")
			f.DurationVar(&a.timeout, "timeout", 0, "of a whole exchange; 0: none")
			f.StringVar(&a.accessLog, "access-log", "", "`file` of the access log, - for stdout")
			f.StringSliceVar(&a.kafka, "kafka", nil, "publish and read telemetry through these brokers, `host:port,...`")
			f.Float64Var(&a.sample, "decision-sample", a.sample, "with --kafka: share of requests whose decision is published, 0 to 1")
			f.StringSliceVar(&a.explainFrom, "explain-from", nil, "`CIDR,...` of clients that may request X-Smartlb-Decision")
			f.StringVar(&a.admin, "admin", config.DefaultAdmin, "`address` of API, /metrics, /healthz, /readyz")
			f.DurationVar(&a.drain, "drain", a.drain, "how long a stop waits for requests; exit code 4 if it then cuts some")
			f.DurationVar(&a.lameDuck, "lame-duck", 0, "how long a stop continues to accept requests while /readyz already fails")
		},
		Run:      runProxy,
		Complete: func(context.Context, *cli.Env, *proxyArgs, []string) []string { return nil },
	}.Command(env)
}

func runProxy(ctx context.Context, env *cli.Env, a proxyArgs) (cli.None, error) {
	defer env.LogAside()()
	if len(a.to) == 0 {
		return cli.None{}, cli.Usagef("--to is missing: name at least one instance as host:port")
	}
	switch {
	case a.sample < 0 || a.sample > 1:
		return cli.None{}, cli.Usagef("--decision-sample %v: want 0 to 1", a.sample)
	case (a.tlsCert == "") != (a.tlsKey == ""):
		return cli.None{}, cli.Usagef("--tls-cert and --tls-key: want both")
	case a.connectTimeout <= 0:
		return cli.None{}, cli.Usagef("--connect-timeout %s: want more than 0", a.connectTimeout)
	}
	d, err := a.document()
	if err != nil {
		return cli.None{}, err
	}
	n := nodeFlags{explainFrom: a.explainFrom, admin: a.admin, accessLog: a.accessLog, kafka: a.kafka, drain: a.drain, lameDuck: a.lameDuck, configSource: "file", given: a.given}
	loaded, _, err := n.load(env)
	if err != nil {
		return cli.None{}, err
	}
	loaded.Traffic, loaded.Proxy.ConnectTimeout, loaded.Telemetry.DecisionSample = d.Traffic, a.connectTimeout, a.sample
	o, err := n.options(env, loaded, d.text)
	if err != nil {
		return cli.None{}, err
	}
	o.Roles, o.Kafka, o.FileName = []string{event.RoleProxy}, len(a.kafka) > 0, "the command line"
	o.ListenFlag = "--from"
	undo, err := inherit(env, &o, &n)
	if err != nil {
		return cli.None{}, err
	}
	defer undo()
	one, err := app.New(o)
	if err != nil {
		return cli.None{}, err
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		say(ctx, env, one, o)
	}()
	err = one.Run(ctx)
	<-printed
	return cli.None{}, ended(err)
}

// flagOf returns the flag whose value stands at a path of the document.
func flagOf(path string) string {
	for _, at := range []struct{ prefix, flag string }{
		{"listeners[0].address", "--from"},
		{"routes[0].timeout", "--timeout"},
		{"routes[0].retry.attempts", "--retries"},
		{"services[0].policy", "--policy"},
		{"services[0].protocol", "--upstream-protocol"},
		{"services[0].healthCheck.path", "--health-path"},
		{"services[0].healthCheck", "--health-interval"},
		{"services[0].instances", "--to"},
	} {
		if strings.HasPrefix(path, at.prefix) {
			return at.flag
		}
	}
	return path
}

type lineDocument struct {
	config.Traffic
	text []byte
}

// document writes a Traffic document from the flags and parses it, so that flags get the same checks and messages as a
// file.
func (a proxyArgs) document() (lineDocument, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  - name: web\n    address: %q\n", a.from)
	if a.tlsCert != "" {
		fmt.Fprintf(&b, "    tls: {certificates: [{cert: %q, key: %q}]}\n", a.tlsCert, a.tlsKey)
	}
	fmt.Fprintf(&b, "routes: [{name: all, path: {prefix: /}, service: default, timeout: %s, retry: {attempts: %d, on: [connect-failure, reset]}}]\n", a.timeout, a.retries)
	fmt.Fprintf(&b, "services:\n  - id: default\n    policy: %q\n    protocol: %q\n", a.policy, a.protocol)
	switch {
	case a.healthInterval <= 0:
	case a.healthPath != "":
		fmt.Fprintf(&b, "    healthCheck: {type: http, path: %q, interval: %s}\n", a.healthPath, a.healthInterval)
	default:
		fmt.Fprintf(&b, "    healthCheck: {type: tcp, interval: %s}\n", a.healthInterval)
	}
	b.WriteString("    instances:\n")
	for _, addr := range a.to {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return lineDocument{}, cli.Usagef("--to %s: want host:port or unix:/path", addr)
		}
		id := addr
		if upstream.IsUnix(addr) { // an id has no slashes
			_, at := upstream.SplitAddress(addr)
			id = strings.ReplaceAll(at[1:], "/", "-")
		}
		fmt.Fprintf(&b, "      - {id: %q, address: %q}\n", id, addr)
	}
	t, err := config.ParseTraffic([]byte(b.String()))
	var mistakes config.Mistakes
	if errors.As(err, &mistakes) {
		var lines []string
		for _, m := range mistakes {
			lines = append(lines, flagOf(m.Path)+": "+m.Text)
		}
		err = errors.New(strings.Join(lines, "\n"))
	}
	if err != nil {
		return lineDocument{}, cli.Usagef("%w", err)
	}
	return lineDocument{t, []byte(b.String())}, nil
}
