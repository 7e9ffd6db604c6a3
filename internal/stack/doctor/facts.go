package doctor

import (
	"time"

	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Facts are the collected data. A zero value means that nothing was found or that it was not checked; the comments say
// which.
type Facts struct {
	Now         time.Time     `json:"now"`
	Target      Target        `json:"target"`
	Unreachable *Failure      `json:"unreachable,omitempty"` // why no broker can be used; nil: one can
	Cluster     Cluster       `json:"cluster"`
	Desired     []topic.Spec  `json:"-"` // the catalog
	Topics      []Topic       `json:"topics"`
	Denied      []string      `json:"denied"`                // what an ACL did not permit doctor to read
	NewestAt    time.Time     `json:"newestAt,omitzero"`     // latest timestamp of any record
	NewestIn    string        `json:"newestIn,omitempty"`    // topic of that record
	Behind      map[int32]int `json:"behind,omitempty"`      // partitions of which a broker has a replica that is not in sync, by broker
	MaxMessage  int64         `json:"maxMessage,omitempty"`  // smallest message.max.bytes of the brokers; 0: unknown
	ZooKeeper   *ZooKeeper    `json:"zookeeper,omitempty"`   // nil: not checked
	UI          *Web          `json:"ui,omitempty"`          // nil: not checked
	Connect     *Connect      `json:"connect,omitempty"`     // nil: not checked
	Disks       []Disk        `json:"disks"`                 // of this machine
	State       State         `json:"state"`                 // state folder of the local stack
	Java        *Java         `json:"java,omitempty"`        // nil: not needed
	KafkaBroker string        `json:"kafkaBroker,omitempty"` // the variable KAFKA_BROKER

	exists map[string]bool // every topic of the cluster; nil: unknown
}

// Target is the cluster to check.
type Target struct {
	Brokers []string `json:"brokers"`
	Origin  string   `json:"origin"` // where the brokers were configured
	TLS     bool     `json:"tls"`
	Login   string   `json:"login,omitempty"` // SASL mechanism
	User    string   `json:"user,omitempty"`
}

// Failure is why something cannot be used.
type Failure struct {
	Cause string `json:"cause"` // a kafka.Cause
	Text  string `json:"text"`
	Error string `json:"error"`
}

// Cluster is the brokers' description of the cluster.
type Cluster struct {
	ID         string   `json:"id,omitempty"`
	Controller int32    `json:"controller"` // negative: none
	Brokers    []Broker `json:"brokers"`
}

// Broker is one broker at the address that it advertises.
type Broker struct {
	ID       int32  `json:"id"`
	Address  string `json:"address"`
	Resolves bool   `json:"resolves"`
	Answers  bool   `json:"answers"`            // the address accepts connections
	Cluster  string `json:"cluster,omitempty"`  // id of the cluster at that address
	Problem  string `json:"problem,omitempty"`  // why it does not answer
	Embedded bool   `json:"embedded,omitempty"` // it is the embedded broker
}

// Topic is the state of one topic of the catalog or of Kafka Connect.
type Topic struct {
	topic.Actual
	Leaderless      int `json:"leaderless"`      // partitions
	UnderReplicated int `json:"underReplicated"` // partitions
}

// ZooKeeper is the result of the check of ZooKeeper's address.
type ZooKeeper struct {
	Address string `json:"address"`
	Needed  bool   `json:"needed"` // the local stack includes ZooKeeper
	Mode    string `json:"mode,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Web is the result of the check of the web UI's address.
type Web struct {
	Address string `json:"address"`
	Needed  bool   `json:"needed"`
	Status  int    `json:"status,omitempty"`
	Ours    bool   `json:"ours"`
	Problem string `json:"problem,omitempty"`
}

// Connect is the result of the check of Kafka Connect's address.
type Connect struct {
	Address string   `json:"address"`
	Needed  bool     `json:"needed"`
	Version string   `json:"version,omitempty"`
	Cluster string   `json:"cluster,omitempty"` // id of the Kafka cluster that it uses
	Problem string   `json:"problem,omitempty"`
	Failed  []string `json:"failed"` // connectors and tasks, as NAME or NAME/TASK

	// Waiting holds, by connector, the topics that do not exist and for which the connector waits.
	Waiting map[string][]string `json:"waiting,omitempty"`
}

// Disk is one file system.
type Disk struct {
	Path  string `json:"path"`
	Free  uint64 `json:"free"`
	Total uint64 `json:"total"`
}

// State is the state folder of the local stack.
type State struct {
	Dir     string   `json:"dir,omitempty"` // empty: none
	Problem string   `json:"problem,omitempty"`
	Stale   []string `json:"stale"`   // services whose pid file names a process that has ended
	Running []string `json:"running"` // services that run
}

// Java is the Java that would run ZooKeeper, Kafka and Connect.
type Java struct {
	Version string `json:"version,omitempty"`
	Feature int    `json:"feature,omitempty"` // 17 of 17.0.15
	Problem string `json:"problem,omitempty"`
}
