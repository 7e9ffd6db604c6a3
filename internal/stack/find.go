package stack

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/smartlb/smartlb/internal/stack/properties"
)

// Found is a stack that runs on this machine.
type Found struct {
	Runtime  string
	PID      int    // of its broker
	Address  string // of its broker
	Internal string // second address of its broker; may be empty
	UI       string // of its web UI; empty if that does not run
}

// Find reports whether a broker that was started in the state folder dir still runs, and its addresses. It reads only
// the process table and files and does not connect to the broker.
func Find(dir string) (Found, bool) {
	c, known, err := Recall(dir)
	if err != nil || !known {
		return Found{}, false
	}
	if c.Runtime == RuntimeDocker {
		return findDocker(c)
	}
	p := &Process{ID: KafkaName, Dir: dir, Ready: c.Runtime == RuntimeEmbedded, Address: dialable(c.Addresses.Kafka)}
	st := p.Status(context.Background())
	if st.State != Running || !st.Healthy {
		return Found{}, false
	}
	found := Found{Runtime: c.Runtime, PID: st.PID, Address: st.Address, Internal: st.Internal}
	if c.Runtime != RuntimeEmbedded {
		found.Internal = c.Addresses.Internal
	}
	ui := &Process{ID: UIName, Dir: dir, Ready: true}
	if st := ui.Status(context.Background()); st.Healthy {
		found.UI = st.Address
	}
	return found, true
}

// Here returns the addresses of this machine's services: those of the stack whose choice is in dir, else the usual
// ones. Services that the stack does not have are empty.
func Here(dir string, usual Addresses) Addresses {
	last, known, err := Recall(dir)
	if dir == "" || err != nil || !known {
		return usual
	}
	at := last.Addresses
	if found, running := Find(dir); running { // the broker may have picked its ports
		at.UI = cmp.Or(found.UI, at.UI)
	}
	if last.Runtime == RuntimeEmbedded {
		at.Zookeeper, at.Connect = "", ""
	}
	if last.Mode == properties.ModeKRaft {
		at.Zookeeper = ""
	}
	return at
}

// findDocker checks the port, because containers have no pid file here.
func findDocker(c Choice) (Found, bool) {
	address := dialable(c.Addresses.Kafka)
	conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
	if err != nil {
		return Found{}, false
	}
	_ = conn.Close()
	return Found{Runtime: c.Runtime, Address: address}, true
}

// Alive reports whether any process of a stack in the state folder dir runs: its broker or a remaining process.
func Alive(dir string) bool {
	for _, name := range []string{ZookeeperName, KafkaName, ConnectName, UIName, SupervisorName} {
		if _, alive := (&Process{ID: name, Dir: dir}).read(); alive {
			return true
		}
	}
	_, running := Find(dir)
	return running
}
