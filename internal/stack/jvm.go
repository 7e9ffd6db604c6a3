package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// JVMConfig configures the jvm runtime: real ZooKeeper, Kafka and Kafka Connect as processes of this machine.
type JVMConfig struct {
	Dir       string // state folder, see Dir
	Program   string // the smartlb binary, for the web UI and the supervisor; empty: neither
	Version   string // version of that binary
	Home      distribution.Home
	Java      distribution.Java
	Mode      properties.Mode
	Addresses Addresses         // Connect and UI may be empty
	Heap      map[string]string // by service; default DefaultHeap
	Plugins   string            // folder of third-party connectors; may be empty
	Secrets   []string          // folders from which ${file:...} of connectors may read; empty: DefaultSecrets

	KafkaHealth   HealthOfKafka
	ConnectHealth func(ctx context.Context, address string) error
	UIHealth      func(ctx context.Context, address string) error
	Topics        Step // runs after Kafka's start

	dump bool // make class data archives instead of using them
}

// DefaultHeap returns the largest and the initial heap size of a service. The sizes were measured with values of 10 MB.
// The initial size must be set, because Java's default is a sixty-fourth of the machine's memory.
func DefaultHeap(service string) (largest, first string) {
	switch service {
	case ZookeeperName:
		return "64m", "16m"
	case KafkaName:
		return "256m", "64m"
	default:
		return "256m", "32m"
	}
}

// Validate reports every mistake at once.
func (c JVMConfig) Validate() error {
	errs := []error{c.Addresses.check()}
	if c.Addresses.Kafka == "" {
		errs = append(errs, errors.New("the broker needs an address"))
	}
	if c.Mode == properties.ModeZookeeper && c.Home.Major() != 3 {
		errs = append(errs, fmt.Errorf("Kafka %s in %s has no ZooKeeper mode: use --mode kraft, or Kafka 3.9", c.Home.Kafka, c.Home.Dir))
	}
	if strings.ContainsAny(c.Dir, ",\n") {
		errs = append(errs, fmt.Errorf("the state folder %q has a comma in its name, which Kafka takes for two folders", c.Dir))
	}
	if c.Plugins != "" {
		errs = append(errs, checkFolder("--plugins", c.Plugins))
	}
	for _, dir := range c.Secrets {
		errs = append(errs, checkFolder("--secrets", dir))
	}
	return errors.Join(errs...)
}

// checkFolder reports a folder that a worker of Connect cannot use.
func checkFolder(flag, dir string) error {
	if strings.ContainsAny(dir, ",\n") {
		return fmt.Errorf("%s %q: a comma in the name would separate two folders for Kafka Connect", flag, dir)
	}
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%s %s: the path is not absolute", flag, dir)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s %s: it is not a folder", flag, dir)
	}
	return nil
}

// jvm creates the services of a JVMConfig.
type jvm struct {
	JVMConfig
	root string // folder of this mode's configuration and data
}

// NewJVM makes the runtime that uses Java processes.
func NewJVM(c JVMConfig) (Runtime, error) {
	if err := c.Validate(); err != nil {
		return Runtime{}, fmt.Errorf("runtime jvm: %w", err)
	}
	j := jvm{c, filepath.Join(c.Dir, "jvm", string(c.Mode))}
	r := Runtime{Name: RuntimeJVM, Mode: string(c.Mode), Dir: c.Dir, Lacks: "one node, no replication", After: map[string]Step{}}
	if c.Mode == properties.ModeZookeeper {
		r.Services = append(r.Services, j.zookeeper())
	}
	r.Services = append(r.Services, j.kafka())
	if c.Topics.Run != nil {
		r.After[KafkaName] = c.Topics
	}
	if c.Addresses.Connect != "" {
		r.Services = append(r.Services, j.connect())
	}
	if c.Program == "" {
		return r, nil
	}
	if c.Addresses.UI != "" {
		r.Services = append(r.Services, newUI(uiConfig{
			Dir: c.Dir, Program: c.Program, Address: c.Addresses.UI, Version: c.Version, Health: c.UIHealth,
			Broker: func() (string, error) { return dialable(c.Addresses.Kafka), nil },
		}))
	}
	r.Supervisor = &Process{
		ID: SupervisorName, Dir: c.Dir, Grace: 10 * time.Second,
		Command: func() ([]string, error) { return []string{c.Program, "kafka", "supervise"}, nil },
		Environ: append(os.Environ(), "SMARTLB_STATE_DIR="+c.Dir),
	}
	return r, nil
}

func (j jvm) conf(name string) string { return filepath.Join(j.root, "conf", name) }
func (j jvm) data(name string) string { return filepath.Join(j.root, name) }

// process makes a service that is a Java process.
func (j jvm) process(id, address, main, file string) *Process {
	return &Process{
		ID: id, Dir: j.Dir, OwnLog: true, Address: dialable(address), Binds: []string{address}, Grace: 30 * time.Second,
		Command: func() ([]string, error) { return j.command(id, main, j.conf(file)) },
	}
}

func (j jvm) zookeeper() *Process {
	at := j.Addresses.Zookeeper
	p := j.process(ZookeeperName, at, "org.apache.zookeeper.server.quorum.QuorumPeerMain", "zoo.cfg")
	p.Must = true
	p.Prepare = func(context.Context) error {
		return j.write(ZookeeperName, "zoo.cfg", properties.Zookeeper{Data: j.data(ZookeeperName), Listen: at}.File())
	}
	p.Healthy = func(ctx context.Context, address string) error {
		_, err := AskZookeeper(ctx, address)
		return err
	}
	p.Inspect = func(ctx context.Context, s *Status) {
		s.Version, s.Data = j.Home.Zookeeper, j.data(ZookeeperName)
		if z, err := AskZookeeper(ctx, s.Address); err == nil {
			s.Mode = z.Mode
		}
	}
	return p
}

// nodeID is the broker's id; there is one broker.
const nodeID = 1

func (j jvm) kafka() *Process {
	a := j.Addresses
	p := j.process(KafkaName, a.Kafka, "kafka.Kafka", "server.properties")
	p.Must, p.Healthy = true, j.KafkaHealth.with(func() []string { return topicsIn(j.data(KafkaName)) })
	for _, more := range []string{a.Internal, j.controller()} {
		if more != "" {
			p.Binds = append(p.Binds, more)
		}
	}
	p.Prepare = func(ctx context.Context) error {
		b := j.broker(ctx)
		if err := j.write(KafkaName, "server.properties", b.File()); err != nil {
			return err
		}
		if j.Mode == properties.ModeKRaft {
			return j.format(ctx)
		}
		return forgetBroker(ctx, dialable(a.Zookeeper), nodeID)
	}
	p.Inspect = func(ctx context.Context, s *Status) {
		s.Version, s.Data = j.Home.Kafka, j.data(KafkaName)
		b := j.broker(ctx)
		s.Listeners = append(s.Listeners, Listener{properties.External, b.External.Listen, b.External.Advertise})
		if b.Internal.Listen != "" {
			s.Internal = b.Internal.Listen
			s.Listeners = append(s.Listeners, Listener{properties.Internal, b.Internal.Listen, b.Internal.Advertise})
		}
	}
	return p
}

func (j jvm) controller() string {
	if j.Mode != properties.ModeKRaft {
		return ""
	}
	return j.Addresses.Controller
}

func (j jvm) broker(ctx context.Context) properties.Broker {
	a := j.Addresses
	b := properties.Broker{
		Mode: j.Mode, Data: j.data(KafkaName), Zookeeper: dialable(a.Zookeeper),
		External: properties.Listener{Listen: a.Kafka, Advertise: onThisMachine(a.Kafka)},
	}
	if a.Internal != "" {
		b.Internal = properties.Listener{Listen: a.Internal, Advertise: fromContainers(ctx, a.Internal)}
	}
	if at := j.controller(); at != "" {
		b.Controller = properties.Listener{Listen: at, Advertise: dialable(at)}
	}
	return b
}

func (j jvm) connect() *Process {
	at := j.Addresses.Connect
	p := j.process(ConnectName, at, "org.apache.kafka.connect.cli.ConnectDistributed", "connect-distributed.properties")
	p.Healthy = j.ConnectHealth
	p.Prepare = func(context.Context) error {
		c := properties.Connect{
			Brokers: dialable(j.Addresses.Kafka), Listen: at, Advertise: onThisMachine(at), Plugins: j.Plugins, Secrets: j.Secrets,
		}
		if len(c.Secrets) == 0 {
			c.Secrets = []string{DefaultSecrets(j.Dir)}
			if err := os.MkdirAll(c.Secrets[0], 0o700); err != nil {
				return err
			}
		}
		return j.write(ConnectName, "connect-distributed.properties", c.File())
	}
	p.Inspect = func(_ context.Context, s *Status) { s.Version = j.Home.Kafka }
	return p
}

// DefaultSecrets is the folder in the state folder dir from which ${file:...} in connector settings may read.
func DefaultSecrets(dir string) string { return filepath.Join(dir, "secrets") }

// write writes a service's files: its configuration, its log configuration, and the class path.
func (j jvm) write(service, name string, f properties.File) error {
	for _, dir := range []string{filepath.Join(j.root, "conf"), j.data(service)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	log := properties.Log{File: filepath.Join(j.Dir, service+".log")}
	logFile, logName := log.Log4j2(), service+".log4j2.properties"
	if j.Home.Major() < 4 {
		logFile, logName = log.Reload4j(), service+".log4j.properties"
	}
	for path, text := range map[string]string{
		j.conf(name): f.String(), j.conf(logName): logFile.String(), j.conf("classpath"): j.Home.ArgumentFile(),
	} {
		if err := renameio.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// command returns the command line that runs a class of the distribution as a service.
func (j jvm) command(service, main string, args ...string) ([]string, error) {
	largest, first := DefaultHeap(service)
	if given := j.Heap[service]; given != "" {
		largest, first = given, ""
	}
	line := []string{j.Java.Program, "-Xmx" + largest}
	if first != "" {
		line = append(line, "-Xms"+first)
	}
	line = append(line,
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", // half the time to start, and a third of the memory
		"-XX:+ExitOnOutOfMemoryError", // exit, so that the supervisor restarts it
		"-Djava.awt.headless=true",
	)
	if archive := j.Home.Archive(j.archiveName(service)); j.dump {
		line = append(line, "-XX:ArchiveClassesAtExit="+archive)
	} else if _, err := os.Stat(archive); err == nil {
		line = append(line, "-XX:SharedArchiveFile="+archive)
	}
	if j.Home.Major() < 4 {
		line = append(line, "-Dlog4j.configuration=file:"+j.conf(service+".log4j.properties"))
	} else {
		line = append(line, "-Dlog4j2.configurationFile="+j.conf(service+".log4j2.properties"))
	}
	line = append(line, "@"+j.conf("classpath"), main)
	return append(line, args...), nil
}

// archiveName separates the archives of the modes: one version may run both.
func (j jvm) archiveName(service string) string { return service + "-" + string(j.Mode) }

// HealthOfKafka is one health check of a broker: it serves, and the named topics exist.
type HealthOfKafka func(ctx context.Context, address string, topics []string) error

// with makes a health check of a service from h.
func (h HealthOfKafka) with(topics func() []string) func(ctx context.Context, address string) error {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, address string) error {
		if topics == nil {
			return h(ctx, address, nil)
		}
		return h(ctx, address, topics())
	}
}

// partitionFolder matches Kafka's folder name of a partition; a partition that is being deleted has another name.
var partitionFolder = regexp.MustCompile(`^([a-zA-Z0-9._-]+)-[0-9]+$`)

// topicsIn lists the topics, except Kafka's own, of which a broker has records on disk: the broker must serve them.
// Without this check, a restarted broker would look healthy long before the controller assigns its partitions.
func topicsIn(data string) []string {
	entries, err := os.ReadDir(data)
	if err != nil {
		return nil
	}
	var topics []string
	for _, e := range entries {
		if m := partitionFolder.FindStringSubmatch(e.Name()); m != nil && e.IsDir() && !strings.HasPrefix(m[1], "__") {
			topics = append(topics, m[1])
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
