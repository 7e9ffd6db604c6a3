package properties

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Mode is who keeps the metadata of the cluster.
type Mode string

// Modes.
const (
	ModeZookeeper Mode = "zookeeper" // ZooKeeper beside Kafka 3.9, the last line that knows it
	ModeKRaft     Mode = "kraft"     // Kafka 4 itself
)

// Limits. Kafka limits whole batches, so a value of 10 MiB needs room for the
// head of its batch, its key and its headers: 1 MiB is more than enough.
const (
	MaxMessage  = 11 << 20       // bytes of a batch, at every place that has a limit of its own
	maxResponse = 2 * MaxMessage // bytes of a replica's fetch
	sendBuffer  = 64 << 20       // bytes a producer of Connect holds: several of the largest messages
	dedupe      = 16 << 20       // bytes of the log cleaner's map; the default of 128 MiB does not fit into a small heap
	nodeID      = 1              // there is one node
	jsonClass   = "org.apache.kafka.connect.json.JsonConverter"
)

// Zookeeper is a ZooKeeper server on its own.
type Zookeeper struct {
	Data   string // folder of snapshots
	Log    string // folder of the transaction log; empty: Data
	Listen string // host:port
}

// File gives zoo.cfg.
func (z Zookeeper) File() File {
	host, port := splitAddress(z.Listen)
	f := File{{"dataDir", z.Data}}
	if z.Log != "" {
		f = append(f, Property{"dataLogDir", z.Log})
	}
	return append(f,
		Property{"clientPort", port},
		Property{"clientPortAddress", host},
		Property{"tickTime", "2000"}, // sessions last 2 to 20 ticks; a broker asks for 10 s
		Property{"maxClientCnxns", "0"},
		Property{"admin.enableServer", "false"}, // it would take 8080 on every address
		Property{"4lw.commands.whitelist", "srvr,mntr,ruok,isro"},
		Property{"autopurge.purgeInterval", "24"}, // hours
		Property{"autopurge.snapRetainCount", "3"},
	)
}

// Listener is where a broker listens, and what it tells clients to connect to.
type Listener struct {
	Listen    string // host:port; empty: this listener does not exist
	Advertise string // host:port; empty: as Listen
}

func (l Listener) advertise() string {
	if l.Advertise != "" {
		return l.Advertise
	}
	return l.Listen
}

// Names of a broker's listeners.
const (
	External   = "EXTERNAL"   // clients on this machine
	Internal   = "INTERNAL"   // the broker itself, and containers
	controller = "CONTROLLER" // KRaft's
)

// Broker is a Kafka broker that is a cluster of its own.
type Broker struct {
	Mode       Mode
	Data       string   // folder of the records
	External   Listener // required
	Internal   Listener
	Zookeeper  string     // host:port; of ModeZookeeper
	Controller Listener   // of ModeKRaft
	Extra      []Property // added, or in place of ours
}

// File gives server.properties.
func (b Broker) File() File {
	listeners := []struct {
		name string
		Listener
	}{{External, b.External}, {Internal, b.Internal}}
	if b.Mode == ModeKRaft {
		listeners = append(listeners, struct {
			name string
			Listener
		}{controller, b.Controller})
	}
	var listen, advertise, protocols []string
	between := External
	for _, l := range listeners {
		if l.Listen == "" {
			continue
		}
		listen = append(listen, l.name+"://"+l.Listen)
		protocols = append(protocols, l.name+":PLAINTEXT")
		if l.name != controller {
			advertise = append(advertise, l.name+"://"+l.advertise())
		}
		if l.name == Internal {
			between = Internal
		}
	}
	f := append(b.metadata(),
		Property{"listeners", strings.Join(listen, ",")},
		Property{"advertised.listeners", strings.Join(advertise, ",")},
		Property{"listener.security.protocol.map", strings.Join(protocols, ",")},
		Property{"inter.broker.listener.name", between},
		Property{"log.dirs", b.Data},
		Property{"auto.create.topics.enable", "false"}, // a typing error is not a topic
		Property{"num.partitions", "1"},
		Property{"default.replication.factor", "1"},
		Property{"offsets.topic.replication.factor", "1"},
		Property{"offsets.topic.num.partitions", "10"}, // of 50: one node gains nothing from more files to open and recover
		Property{"transaction.state.log.replication.factor", "1"},
		Property{"transaction.state.log.min.isr", "1"},
		Property{"transaction.state.log.num.partitions", "10"},
		Property{"group.initial.rebalance.delay.ms", "0"},
		Property{"message.max.bytes", number(MaxMessage)},
		Property{"replica.fetch.max.bytes", number(MaxMessage)},
		Property{"replica.fetch.response.max.bytes", number(maxResponse)},
		Property{"log.retention.hours", "168"},
		Property{"log.cleaner.dedupe.buffer.size", number(dedupe)},
	)
	return f.With(b.Extra...)
}

// metadata gives the settings by which the modes differ.
func (b Broker) metadata() File {
	if b.Mode == ModeZookeeper {
		return File{
			{"broker.id", number(nodeID)},
			{"zookeeper.connect", b.Zookeeper},
			{"zookeeper.connection.timeout.ms", "10000"},
			{"zookeeper.session.timeout.ms", "10000"}, // the entries of a broker that was killed are deleted before it starts again
		}
	}
	return File{
		{"process.roles", "broker,controller"},
		{"node.id", number(nodeID)},
		{"controller.quorum.voters", fmt.Sprintf("%d@%s", nodeID, b.Controller.advertise())},
		{"controller.listener.names", controller},
		{"broker.session.timeout.ms", "3000"}, // a broker that was killed is fenced so long when it comes back
		{"broker.heartbeat.interval.ms", "500"},
		{"share.coordinator.state.topic.replication.factor", "1"},
		{"share.coordinator.state.topic.min.isr", "1"},
	}
}

// Connect is a worker of Kafka Connect in distributed mode.
type Connect struct {
	Brokers    string // host:port,...
	Listen     string // host:port of its REST interface
	Advertise  string // host:port; empty: as Listen
	PluginPath string // jars of connectors that are not on the class path; may be empty

	// Plugins is a folder of third-party connectors, one folder each, beside
	// PluginPath; may be empty. Many of their jars have no service manifest, so
	// the worker then looks through the classes too.
	Plugins string
	// Secrets are the folders from which ${file:PATH:KEY} may read; none: the
	// provider is not set up, because without a list it reads any file.
	Secrets []string
}

// File gives connect-distributed.properties.
func (c Connect) File() File {
	advertise := c.Advertise
	if advertise == "" {
		advertise = c.Listen
	}
	host, port := splitAddress(advertise)
	f := File{
		{"bootstrap.servers", c.Brokers},
		{"group.id", "smartlb-connect"},
		{"listeners", "http://" + c.Listen}, // its default port, 8083, is the web UI's
		{"rest.advertised.host.name", host},
		{"rest.advertised.port", port},
		{"key.converter", jsonClass},
		{"key.converter.schemas.enable", "false"},
		{"value.converter", jsonClass},
		{"value.converter.schemas.enable", "false"},
		{"config.storage.topic", "connect-configs"},
		{"config.storage.replication.factor", "1"},
		{"offset.storage.topic", "connect-offsets"},
		{"offset.storage.partitions", "1"},
		{"offset.storage.replication.factor", "1"},
		{"status.storage.topic", "connect-status"},
		{"status.storage.partitions", "1"},
		{"status.storage.replication.factor", "1"},
		{"offset.flush.interval.ms", "10000"},
		{"producer.max.request.size", number(MaxMessage)},
		{"producer.buffer.memory", number(sendBuffer)},
		{"consumer.max.partition.fetch.bytes", number(MaxMessage)},
		{"consumer.fetch.max.bytes", number(5 * MaxMessage)},
		{"topic.creation.enable", "true"},    // for connectors with topic.creation.default.*, which `connect apply` adds
		{"plugin.discovery", "service_load"}, // looking through the whole class path costs two seconds and 300 MiB
	}
	path := c.PluginPath
	if c.Plugins != "" {
		f = f.With(Property{"plugin.discovery", "hybrid_warn"})
		path = strings.Trim(path+","+c.Plugins, ",")
	}
	if path != "" {
		f = append(f, Property{"plugin.path", path})
	}
	return append(f, c.providers()...)
}

// providers sets up what ${env:NAME} and ${file:PATH:KEY} in the settings of
// connectors mean. A worker without them takes such values literally.
func (c Connect) providers() File {
	const class = "org.apache.kafka.common.config.provider."
	f := File{
		{"config.providers", "env"},
		{"config.providers.env.class", class + "EnvVarConfigProvider"},
	}
	if len(c.Secrets) == 0 {
		return f
	}
	return f.With(
		Property{"config.providers", "env,file"},
		Property{"config.providers.file.class", class + "FileConfigProvider"},
		Property{"config.providers.file.param.allowed.paths", strings.Join(c.Secrets, ",")}, // since Kafka 3.8 (KIP-993)
	)
}

func number(n int) string { return strconv.Itoa(n) }

func splitAddress(a string) (host, port string) {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return a, ""
	}
	return host, port
}
