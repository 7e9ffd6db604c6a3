package doctor

import (
	"time"

	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Facts are what was found. Zero values mean that nothing was found or nobody
// looked; the comments say which.
type Facts struct {
	Now         time.Time     `json:"now"`
	Target      Target        `json:"target"`
	Reach       *Failure      `json:"reach,omitempty"` // why no broker lets us in; nil: one does
	Cluster     Cluster       `json:"cluster"`
	Desired     []topic.Spec  `json:"-"` // the catalog
	Topics      []Topic       `json:"topics"`
	Denied      []string      `json:"denied"`                // what an ACL forbade us to look at
	NewestAt    time.Time     `json:"newestAt,omitzero"`     // newest timestamp of any record
	NewestIn    string        `json:"newestIn,omitempty"`    // and its topic
	Behind      map[int32]int `json:"behind,omitempty"`      // partitions of which a broker has a replica that is not in sync, by broker
	MaxMessage  int64         `json:"maxMessage,omitempty"`  // smallest message.max.bytes of the brokers; 0: not known
	ZooKeeper   *ZooKeeper    `json:"zookeeper,omitempty"`   // nil: not asked for
	UI          *Web          `json:"ui,omitempty"`          // nil: not asked for
	Connect     *Connect      `json:"connect,omitempty"`     // nil: not asked for
	Disks       []Disk        `json:"disks"`                 // of this machine
	State       State         `json:"state"`                 // the folder of the local stack
	Java        *Java         `json:"java,omitempty"`        // nil: nobody needs it
	KafkaBroker string        `json:"kafkaBroker,omitempty"` // the variable KAFKA_BROKER

	exists map[string]bool // every topic of the cluster; nil: not known
}

// Target is whom we ask.
type Target struct {
	Brokers []string `json:"brokers"`
	Origin  string   `json:"origin"` // where they were named
	TLS     bool     `json:"tls"`
	Login   string   `json:"login,omitempty"` // mechanism
	User    string   `json:"user,omitempty"`
}

// Failure is why something cannot be used.
type Failure struct {
	Cause string `json:"cause"` // a kafka.Cause
	Text  string `json:"text"`
	Error string `json:"error"`
}

// Cluster is what the brokers say about themselves.
type Cluster struct {
	ID         string   `json:"id,omitempty"`
	Controller int32    `json:"controller"` // negative: there is none
	Brokers    []Broker `json:"brokers"`
}

// Broker is one broker at the address that it advertises.
type Broker struct {
	ID       int32  `json:"id"`
	Address  string `json:"address"`
	Resolves bool   `json:"resolves"`
	Answers  bool   `json:"answers"`            // somebody accepts connections there
	Cluster  string `json:"cluster,omitempty"`  // id of the cluster that answers there
	Problem  string `json:"problem,omitempty"`  // why it does not
	Embedded bool   `json:"embedded,omitempty"` // it is the broker of this program
}

// Topic is one topic of the catalog or of Kafka Connect as it is.
type Topic struct {
	topic.Actual
	Leaderless      int `json:"leaderless"`      // partitions
	UnderReplicated int `json:"underReplicated"` // partitions
}

// ZooKeeper is what answers where ZooKeeper should be.
type ZooKeeper struct {
	Address string `json:"address"`
	Needed  bool   `json:"needed"` // the stack that was started here has one
	Mode    string `json:"mode,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Web is what answers where the web UI should be.
type Web struct {
	Address string `json:"address"`
	Needed  bool   `json:"needed"`
	Status  int    `json:"status,omitempty"`
	Ours    bool   `json:"ours"`
	Problem string `json:"problem,omitempty"`
}

// Connect is what answers where Kafka Connect should be.
type Connect struct {
	Address string   `json:"address"`
	Needed  bool     `json:"needed"`
	Version string   `json:"version,omitempty"`
	Cluster string   `json:"cluster,omitempty"` // id of the Kafka that it works with
	Problem string   `json:"problem,omitempty"`
	Failed  []string `json:"failed"` // connectors and tasks, as NAME or NAME/TASK

	// Waiting are the topics that connectors wait for because they do not exist,
	// by connector.
	Waiting map[string][]string `json:"waiting,omitempty"`
}

// Disk is one file system.
type Disk struct {
	Path  string `json:"path"`
	Free  uint64 `json:"free"`
	Total uint64 `json:"total"`
}

// State is the folder of the local stack.
type State struct {
	Dir     string   `json:"dir,omitempty"` // empty: there is none
	Problem string   `json:"problem,omitempty"`
	Stale   []string `json:"stale"`   // services whose pid file names a process that is gone
	Running []string `json:"running"` // services that run
}

// Java is what would run ZooKeeper, Kafka and Connect.
type Java struct {
	Version string `json:"version,omitempty"`
	Feature int    `json:"feature,omitempty"` // 17 of 17.0.15
	Problem string `json:"problem,omitempty"`
}
