package stackcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// stackArgs are the flags of the verbs about the local stack.
type stackArgs struct {
	name       string // name of the runtime
	mode       string
	at         stack.Addresses
	heap       []string
	plugins    string
	secrets    []string
	noConnect  bool
	noInstall  bool
	dir        string
	repository string
}

// Default addresses of a stack.
const (
	defaultListen     = "127.0.0.1:9092"
	defaultInternal   = "127.0.0.1:29092"
	defaultUI         = "127.0.0.1:8083"
	defaultZookeeper  = "127.0.0.1:2181"
	defaultController = "127.0.0.1:9093"
	defaultConnect    = "127.0.0.1:8084"
)

func (a *stackArgs) runtimeFlag(f *pflag.FlagSet) {
	f.StringVar(&a.name, "runtime", "", "jvm, embedded, docker, external or auto: the runtime of the last start, else jvm if Java 17 is installed, else embedded (default SMARTLB_KAFKA_RUNTIME or auto)")
}

func (a *stackArgs) flags(f *pflag.FlagSet) {
	a.runtimeFlag(f)
	f.StringVar(&a.mode, "mode", "", "zookeeper (Kafka "+versionZookeeper+") or kraft (Kafka "+versionKRaft+") (default: the mode of the last start, else zookeeper)")
	f.StringVar(&a.at.Kafka, "broker-listen", "", "`address` of the broker for clients; port 0 picks one (default "+defaultListen+", for restart the address of the last start)")
	f.StringVar(&a.at.Internal, "broker-internal", "", "second `address` of the broker, for containers, or none (default "+defaultInternal+")")
	f.StringVar(&a.at.UI, "console", "", "`address` of the web UI, or none (default "+defaultUI+")")
	f.StringVar(&a.at.Zookeeper, "zookeeper", "", "`address` of ZooKeeper (default "+defaultZookeeper+")")
	f.StringVar(&a.at.Controller, "controller", "", "`address` of the controller of --mode kraft (default "+defaultController+")")
	f.StringVar(&a.at.Connect, "connect", "", "`address` of Kafka Connect, or none (default "+defaultConnect+")")
	f.BoolVar(&a.noConnect, "no-connect", false, "start no Kafka Connect")
	f.StringVar(&a.plugins, "plugins", "", "`folder` of third-party connectors for Kafka Connect, one folder or jar each, or none (default: the folder of the last start)")
	f.StringArrayVar(&a.secrets, "secrets", nil, "`folder` that ${file:PATH:KEY} in connectors may read, or default; may be repeated (default: the folders of the last start, else secrets in the state folder)")
	f.StringArrayVar(&a.heap, "heap", nil, "`SERVICE=SIZE`, the largest heap of zookeeper, kafka or connect, such as kafka=1g; may be repeated")
	f.BoolVar(&a.noInstall, "no-install", false, "do not download missing jars of the runtime jvm")
	f.StringVar(&a.dir, "dir", "", "`folder` of installations (default SMARTLB_KAFKA_DIR or smartlb/kafka in the user's data folder)")
	f.StringVar(&a.repository, "repository", "", "install from this `URL or folder` with Maven's layout instead of using mvn")
}

// runtime returns the runtime that a verb acts on. If no part of the stack runs, start selects the runtime again: two
// kinds would share their files. All other verbs use the choice of the last start. start and restart store their
// choice.
func (a stackArgs) runtime(ctx context.Context, env *cli.Env, verb string) (stack.Runtime, error) {
	dir, err := stack.Dir(env.Getenv)
	if err != nil {
		return stack.Runtime{}, err
	}
	last, known, err := stack.Recall(dir)
	if err != nil {
		return stack.Runtime{}, err
	}
	if a.name == "" && verb != "supervise" {
		a.name, _ = env.First("SMARTLB_KAFKA_RUNTIME")
	}
	if err := a.check(verb); err != nil {
		return stack.Runtime{}, err
	}
	running := known && stack.Alive(dir)
	if err := a.elsewhere(env, verb, running); err != nil {
		return stack.Runtime{}, err
	}
	var choice stack.Choice
	switch {
	case verb == "start" && !running, verb == "restart" && !known:
		if choice, err = a.decide(ctx, env, last, known); err != nil {
			return stack.Runtime{}, err
		}
	case !known:
		choice = stack.Choice{Runtime: stack.RuntimeEmbedded, Addresses: a.addresses(stack.Addresses{})}
	case verb == "restart":
		if choice, err = a.change(last); err != nil {
			return stack.Runtime{}, err
		}
	default:
		if err := a.agrees(last); err != nil {
			return stack.Runtime{}, err
		}
		choice = last
	}
	r, err := a.build(ctx, env, dir, choice)
	if err != nil || verb != "start" && verb != "restart" || verb == "start" && running {
		return r, err
	}
	if err := usable(ctx, dir, choice, last, verb == "restart" && running); err != nil {
		return stack.Runtime{}, err // nothing was started and nothing was stored
	}
	return r, choice.Remember(dir)
}

// usable returns an error if the stack cannot listen on one of its addresses. Addresses that a running stack holds are
// permitted.
func usable(ctx context.Context, dir string, c, last stack.Choice, running bool) error {
	at := c.Addresses
	var held []stack.Addresses
	if c.Runtime == stack.RuntimeDocker {
		at = stack.Addresses{UI: at.UI} // docker-compose.yml sets the other addresses
	}
	if running {
		held = []stack.Addresses{last.Addresses}
		if found, ok := stack.Find(dir); ok { // the running stack may have selected its ports
			held = append(held, stack.Addresses{Kafka: found.Address, Internal: found.Internal, UI: found.UI})
		}
	}
	const linger = 2 * time.Second // a killed process may hold its sockets for a short time
	return at.Usable(ctx, linger, held...)
}

// elsewhere refuses to start, stop or restart a stack here while a profile names another cluster. It permits it if a
// runtime is named or a stack runs here.
func (a stackArgs) elsewhere(env *cli.Env, verb string, running bool) error {
	if a.name != "" || running || verb != "start" && verb != "stop" && verb != "restart" {
		return nil
	}
	cluster, err := cli.Brokers{}.Cluster(env)
	if err != nil || cluster.Profile == "" {
		return nil // the commands that use the profile report its errors
	}
	return fmt.Errorf("%s: its brokers (%s) are not managed by smartlb, so there is nothing to %s; for the stack on this machine use --runtime auto; smartlb profile use --none unsets the profile",
		cluster.Origin, strings.Join(cluster.Brokers, ","), verb)
}

// check returns an error for flags that have no meaning together.
func (a stackArgs) check(verb string) error {
	switch a.name {
	case "", "auto", stack.RuntimeJVM, stack.RuntimeEmbedded, stack.RuntimeDocker:
	case stack.RuntimeExternal:
		return fmt.Errorf("runtime external: its brokers are not managed by smartlb, so there is nothing to %s; smartlb kafka health checks them", verb)
	default:
		return cli.Usagef("--runtime %s: allowed are auto, jvm, embedded, docker and external", a.name)
	}
	if a.mode != "" {
		if _, err := parseMode(a.mode); err != nil {
			return err
		}
		if a.name == stack.RuntimeEmbedded {
			return cli.Usagef("--mode %s: the runtime embedded has no modes; use --runtime jvm", a.mode)
		}
	}
	fixed := a.at
	if fixed.UI = ""; a.name == stack.RuntimeDocker && fixed != (stack.Addresses{}) {
		return cli.Usagef("--runtime docker accepts only --console; docker-compose.yml sets the other addresses")
	}
	if a.name != "" && a.name != "auto" && a.name != stack.RuntimeJVM && (a.plugins != "" || len(a.secrets) > 0) {
		return cli.Usagef("--plugins and --secrets are for Kafka Connect of --runtime jvm; the runtime %s does not support them", a.name)
	}
	_, err := a.heaps(nil)
	return err
}

// agrees returns an error if the flags describe another stack than the running stack.
func (a stackArgs) agrees(last stack.Choice) error {
	if err := a.sameKind(last); err != nil {
		return err
	}
	next, err := a.over(last)
	if err != nil {
		return err
	}
	if next.Addresses != last.Addresses || !maps.Equal(next.Heap, last.Heap) || next.Plugins != last.Plugins || !slices.Equal(next.Secrets, last.Secrets) {
		return errors.New("the stack already runs with other settings; to change them, run smartlb kafka restart with these flags")
	}
	return nil
}

// sameKind refuses another runtime or mode, because its records are in another place.
func (a stackArgs) sameKind(last stack.Choice) error {
	name, mode := cmp.Or(a.name, "auto"), cmp.Or(a.mode, string(last.Mode))
	if (name == "auto" || name == last.Runtime) && mode == string(last.Mode) {
		return nil
	}
	is := last.Runtime
	if last.Mode != "" {
		is += " in mode " + string(last.Mode)
	}
	return fmt.Errorf("the stack here uses the runtime %s; to change it, run smartlb kafka stop, then smartlb kafka start with these flags", is)
}

// over returns the last choice with the changes that the flags make.
func (a stackArgs) over(last stack.Choice) (stack.Choice, error) {
	last.Addresses = a.addresses(last.Addresses).KeepPorts(last.Addresses)
	if last.Runtime != stack.RuntimeEmbedded {
		last.Addresses = forMode(last.Addresses, last.Mode)
	}
	var err error
	if last.Heap, err = a.heaps(last.Heap); err != nil {
		return last, err
	}
	return last, a.folders(&last)
}

// change returns the choice for a restart with these flags.
func (a stackArgs) change(last stack.Choice) (stack.Choice, error) {
	if err := a.sameKind(last); err != nil {
		return last, err
	}
	next, err := a.over(last)
	if err != nil {
		return last, err
	}
	return next.WithPorts()
}

// decide returns the choice for the start of a stack that does not run.
func (a stackArgs) decide(ctx context.Context, env *cli.Env, last stack.Choice, known bool) (stack.Choice, error) {
	c := stack.Choice{Runtime: a.name, Addresses: a.addresses(stack.Addresses{})}
	var err error
	if c.Heap, err = a.heaps(nil); err != nil {
		return c, err
	}
	c.Plugins, c.Secrets = last.Plugins, last.Secrets
	if err := a.folders(&c); err != nil {
		return c, err
	}
	auto := c.Runtime == "" || c.Runtime == "auto"
	switch {
	case auto && a.mode != "":
		c.Runtime = stack.RuntimeJVM
	case auto && known:
		c.Runtime, auto = last.Runtime, false
	case auto:
		c.Runtime = stack.RuntimeJVM
	default:
		auto = false
	}
	c.Mode = properties.Mode(cmp.Or(a.mode, string(last.Mode), string(properties.ModeZookeeper)))
	if c.Runtime == stack.RuntimeJVM {
		if err := a.provide(ctx, env, &c); err != nil {
			if !auto || a.mode != "" || ctx.Err() != nil {
				return c, err
			}
			env.Say("starting the embedded broker instead, without ZooKeeper and Kafka Connect: %v", err)
			c.Runtime = stack.RuntimeEmbedded
		}
	}
	if c.Runtime == stack.RuntimeEmbedded {
		c.Mode, c.Home, c.Heap, c.Plugins, c.Secrets = "", "", nil, "", nil
		c.Addresses.Zookeeper, c.Addresses.Controller, c.Addresses.Connect = "", "", ""
		return c, nil
	}
	if c.Runtime == stack.RuntimeDocker {
		c.Plugins, c.Secrets = "", nil
	}
	c.Addresses, err = forMode(c.Addresses, c.Mode).PickPorts()
	return c, err
}

// forMode removes the addresses of services that the mode does not have.
func forMode(at stack.Addresses, m properties.Mode) stack.Addresses {
	if m == properties.ModeKRaft {
		at.Zookeeper = ""
	} else {
		at.Controller = ""
	}
	return at
}

// provide stores the folder of a distribution for the mode in c. It installs the distribution if it is missing. A
// missing Java is an error.
func (a stackArgs) provide(ctx context.Context, env *cli.Env, c *stack.Choice) error {
	java, err := distribution.FindJava(ctx, env.Getenv)
	if err != nil {
		return err
	}
	if home := env.Getenv("KAFKA_HOME"); home != "" && a.dir == "" {
		h, err := distribution.Open(home)
		if err != nil {
			return fmt.Errorf("KAFKA_HOME: %w", err)
		}
		if a.mode == "" && h.Major() > 3 {
			c.Mode = properties.ModeKRaft
		}
		c.Home = h.Dir
		return nil
	}
	lock, err := lockOf(versionOf(c.Mode))
	if err != nil {
		return err
	}
	root, err := installRoot(env, a.dir)
	if err != nil {
		return err
	}
	c.Home = distribution.At(root, lock.Version)
	if distribution.Complete(lock, c.Home) {
		return nil
	}
	if a.noInstall {
		return fmt.Errorf("Kafka %s is not installed in %s: smartlb kafka install --mode %s downloads %s", lock.Version, c.Home, c.Mode, megabytes(lock.Size()))
	}
	_, err = installMode(ctx, env, installArgs{repository: a.repository, dir: a.dir}, c.Mode, java)
	return err
}

// addresses returns the addresses of the flags, else those of the last start, else the defaults.
func (a stackArgs) addresses(last stack.Addresses) stack.Addresses {
	usual := stack.Addresses{
		Kafka: defaultListen, Internal: defaultInternal, UI: defaultUI, Zookeeper: defaultZookeeper, Controller: defaultController, Connect: defaultConnect,
	}
	if last != (stack.Addresses{}) {
		usual = last
	}
	if a.noConnect {
		a.at.Connect = "none"
	}
	return stack.Addresses{
		Kafka: cmp.Or(a.at.Kafka, usual.Kafka), Internal: orDefault(a.at.Internal, usual.Internal), UI: orDefault(a.at.UI, usual.UI),
		Zookeeper: cmp.Or(a.at.Zookeeper, usual.Zookeeper), Controller: cmp.Or(a.at.Controller, usual.Controller), Connect: orDefault(a.at.Connect, usual.Connect),
	}
}

// folders sets the folders of the flags in a choice, as absolute paths: the supervisor has another working directory.
func (a stackArgs) folders(c *stack.Choice) error {
	switch a.plugins {
	case "":
	case "none":
		c.Plugins = ""
	default:
		path, err := filepath.Abs(a.plugins)
		if err != nil {
			return fmt.Errorf("--plugins: %w", err)
		}
		c.Plugins = path
	}
	if len(a.secrets) == 0 {
		return nil
	}
	c.Secrets = nil
	for _, dir := range a.secrets {
		if dir == "default" {
			continue
		}
		path, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("--secrets: %w", err)
		}
		c.Secrets = append(c.Secrets, path)
	}
	return nil
}

// orDefault returns given, or usual if given is empty; none means no address.
func orDefault(given, usual string) string {
	if given == "none" {
		return ""
	}
	return cmp.Or(given, usual)
}

var heapSize = regexp.MustCompile(`^[1-9][0-9]*[kKmMgG]$`)

// heaps returns the heaps of the last start with those of the flags.
func (a stackArgs) heaps(last map[string]string) (map[string]string, error) {
	heap := maps.Clone(last)
	for _, given := range a.heap {
		service, size, _ := strings.Cut(given, "=")
		if !slices.Contains([]string{stack.ZookeeperName, stack.KafkaName, stack.ConnectName}, service) || !heapSize.MatchString(size) {
			return nil, cli.Usagef("--heap %s: SERVICE=SIZE is expected, with zookeeper, kafka or connect, and a size such as 512m", given)
		}
		if heap == nil {
			heap = map[string]string{}
		}
		heap[service] = size
	}
	return heap, nil
}
