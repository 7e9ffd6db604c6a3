package stack

import (
	"net"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Addresses that cannot work were found when half of the stack ran, and were
// remembered for the next start.
func TestAddressesThatCannotWorkAreFoundBeforeAnythingStarts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken, free := l.Addr().String(), porttest.Address(t)
	_, port, err := net.SplitHostPort(free)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		story string
		at    Addresses
		held  Addresses
		want  []string // parts of the error; none: it passes
	}{
		{story: "free ones", at: Addresses{Kafka: free, UI: "127.0.0.1:0", Internal: "127.0.0.1:0"}},
		{"no port", Addresses{Kafka: "127.0.0.1"}, Addresses{}, []string{"--broker-listen 127.0.0.1", "host:port"}},
		{"a port that no machine has", Addresses{Kafka: "127.0.0.1:99999"}, Addresses{}, []string{"0 to 65535"}},
		{"a negative port", Addresses{Internal: "127.0.0.1:-1"}, Addresses{}, []string{"--broker-internal", "0 to 65535"}},
		{"a word as a port", Addresses{UI: "127.0.0.1:http"}, Addresses{}, []string{"--console", "0 to 65535"}},
		{"an address of another machine", Addresses{Zookeeper: "192.0.2.1:2181"}, Addresses{}, []string{"--zookeeper 192.0.2.1:2181", "cannot listen there"}},
		{"no address", Addresses{Controller: "256.1.1.1:9093"}, Addresses{}, []string{"--controller 256.1.1.1:9093", "cannot listen there"}},
		{"a taken port", Addresses{Kafka: taken}, Addresses{}, []string{"the port is taken"}},
		{"a taken port that is our own", Addresses{Kafka: taken}, Addresses{Kafka: taken}, nil},
		{"a taken port of an optional service", Addresses{Kafka: free, UI: taken}, Addresses{}, nil},
		{"one address twice", Addresses{Kafka: free, Internal: free}, Addresses{}, []string{"two services"}},
		{"one port on all and on one address", Addresses{Kafka: "0.0.0.0:" + port, Connect: free}, Addresses{}, []string{"two services"}},
		{"a name and its number", Addresses{Kafka: "localhost:" + port, UI: free}, Addresses{}, []string{"two services"}},
		{"every mistake at once", Addresses{Kafka: "127.0.0.1:70000", UI: "nowhere"}, Addresses{}, []string{"70000", "--console nowhere"}},
	} {
		err := row.at.Usable(t.Context(), 0, row.held)
		if (err == nil) != (len(row.want) == 0) {
			t.Errorf("%s: %v", row.story, err)
			continue
		}
		for _, part := range row.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; %q is expected in it", row.story, err, part)
			}
		}
	}
}
