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
	UI       string // of its web UI; empty when that does not run
}

// Find tells whether a broker was started in the state folder dir and still
// runs, and where. It asks the process table and files only, not the broker.
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

// Here tells where the services of this machine are: where the stack was
// started whose choice is in dir, else where they usually are. What that stack
// does not have is left empty.
func Here(dir string, usual Addresses) Addresses {
	last, known, err := Recall(dir)
	if dir == "" || err != nil || !known {
		return usual
	}
	at := last.Addresses
	if found, running := Find(dir); running { // it may have picked its ports
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

// findDocker asks the port, because containers are in no pid file of ours.
func findDocker(c Choice) (Found, bool) {
	address := dialable(c.Addresses.Kafka)
	conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
	if err != nil {
		return Found{}, false
	}
	_ = conn.Close()
	return Found{Runtime: c.Runtime, Address: address}, true
}

// Alive tells whether anything of a stack runs in the state folder dir, its
// broker or what is left of it.
func Alive(dir string) bool {
	for _, name := range []string{ZookeeperName, KafkaName, ConnectName, UIName, SupervisorName} {
		if _, alive := (&Process{ID: name, Dir: dir}).read(); alive {
			return true
		}
	}
	_, running := Find(dir)
	return running
}
