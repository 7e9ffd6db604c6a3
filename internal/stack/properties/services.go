package properties

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Mode defines what stores the metadata of the cluster.
type Mode string

// Modes.
const (
	ModeZookeeper Mode = "zookeeper" // ZooKeeper with Kafka 3.9, the last release line that supports it
	ModeKRaft     Mode = "kraft"     // Kafka 4 itself
)

// Limits. Kafka limits whole batches, so a value of 10 MiB needs room for the header of its batch, its key and its
// headers: 1 MiB is more than enough.
const (
	MaxMessage  = 11 << 20       // bytes of a batch, for every limit on the way
	maxResponse = 2 * MaxMessage // bytes of a replica's fetch
	sendBuffer  = 64 << 20       // bytes that a producer of Connect buffers: several of the largest messages
	dedupe      = 16 << 20       // bytes of the log cleaner's map; the default of 128 MiB does not fit into a small heap
	nodeID      = 1              // there is one broker
	jsonClass   = "org.apache.kafka.connect.json.JsonConverter"
)

// Zookeeper is a single ZooKeeper server.
type Zookeeper struct {
	Data   string // folder of snapshots
	Log    string // folder of the transaction log; empty: Data
	Listen string // host:port
}

// File returns zoo.cfg.
func (z Zookeeper) File() File {
	host, port := splitAddress(z.Listen)
	f := File{{"dataDir", z.Data}}
	if z.Log != "" {
		f = append(f, Property{"dataLogDir", z.Log})
	}
	return append(f,
		Property{"clientPort", port},
		Property{"clientPortAddress", host},
		Property{"tickTime", "2000"}, // sessions last 2 to 20 ticks; a broker requests 10 s
		Property{"maxClientCnxns", "0"},
		Property{"admin.enableServer", "false"}, // it would listen on 8080 on every address
		Property{"4lw.commands.whitelist", "srvr,mntr,ruok,isro"},
		Property{"autopurge.purgeInterval", "24"}, // hours
		Property{"autopurge.snapRetainCount", "3"},
	)
}

// Listener is a listen address of a broker, and the address that it advertises.
type Listener struct {
	Listen    string // host:port; empty: no such listener
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

// Broker is a Kafka broker that forms a cluster alone.
type Broker struct {
	Mode       Mode
	Data       string   // folder of the records
	External   Listener // required
	Internal   Listener
	Zookeeper  string     // host:port; only for ModeZookeeper
	Controller Listener   // only for ModeKRaft
	Extra      []Property // settings that are added or replace the defaults
}

// File returns server.properties.
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
		Property{"auto.create.topics.enable", "false"}, // a mistyped name must not create a topic
		Property{"num.partitions", "1"},
		Property{"default.replication.factor", "1"},
		Property{"offsets.topic.replication.factor", "1"},
		Property{"offsets.topic.num.partitions", "10"}, // instead of 50: more files to open and recover have no advantage on one broker
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

// metadata returns the settings in which the modes differ.
func (b Broker) metadata() File {
	if b.Mode == ModeZookeeper {
		return File{
			{"broker.id", number(nodeID)},
			{"zookeeper.connect", b.Zookeeper},
			{"zookeeper.connection.timeout.ms", "10000"},
			{"zookeeper.session.timeout.ms", "10000"}, // the registration of a killed broker is deleted before its next start
		}
	}
	return File{
		{"process.roles", "broker,controller"},
		{"node.id", number(nodeID)},
		{"controller.quorum.voters", fmt.Sprintf("%d@%s", nodeID, b.Controller.advertise())},
		{"controller.listener.names", controller},
		{"broker.session.timeout.ms", "3000"}, // a killed broker that returns is fenced for this long
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
	PluginPath string // jars of connectors outside the class path; may be empty

	// Plugins is a folder of third-party connectors, one folder each, in addition to PluginPath; may be empty. Many of
	// their jars have no service manifest, so the worker then scans the classes too.
	Plugins string
	// Secrets are the folders from which ${file:PATH:KEY} may read. If empty, the provider is not configured, because
	// without a list it reads any file.
	Secrets []string
}

// File returns connect-distributed.properties.
func (c Connect) File() File {
	advertise := c.Advertise
	if advertise == "" {
		advertise = c.Listen
	}
	host, port := splitAddress(advertise)
	f := File{
		{"bootstrap.servers", c.Brokers},
		{"group.id", "smartlb-connect"},
		{"listeners", "http://" + c.Listen}, // its default port, 8083, is the port of the web UI
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
		{"plugin.discovery", "service_load"}, // a scan of the whole class path costs two seconds and 300 MiB
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

// providers configures ${env:NAME} and ${file:PATH:KEY} in connector settings. A worker without these providers uses
// such values literally.
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
