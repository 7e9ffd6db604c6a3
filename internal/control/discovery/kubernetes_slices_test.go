package discovery

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/smartlb/smartlb/internal/control/config"
)

// pod returns a ready endpoint.
func pod(name, address string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: name, UID: types.UID("uid-" + name)}}
}

// with sets the conditions of an endpoint: r is ready, s is serving, t is terminating; capitals are true.
func with(e discoveryv1.Endpoint, conditions string) discoveryv1.Endpoint {
	for _, c := range conditions {
		value := c < 'a'
		switch c | ' ' {
		case 'r':
			e.Conditions.Ready = &value
		case 's':
			e.Conditions.Serving = &value
		case 't':
			e.Conditions.Terminating = &value
		}
	}
	return e
}

func sixth(s discoveryv1.EndpointSlice) discoveryv1.EndpointSlice {
	s.AddressType = discoveryv1.AddressTypeIPv6
	return s
}

// ported replaces the ports of a slice: name=number, or the number alone.
func ported(s discoveryv1.EndpointSlice, protocol corev1.Protocol, ports ...string) discoveryv1.EndpointSlice {
	s.Ports = nil
	for _, text := range ports {
		name, number, named := strings.Cut(text, "=")
		if !named {
			name, number = "", text
		}
		port := int32(0)
		_, _ = fmt.Sscan(number, &port)
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &name, Port: &port, Protocol: &protocol})
	}
	return s
}

func taken(t *testing.T, port string, all ...discoveryv1.EndpointSlice) ([]config.Instance, error) {
	t.Helper()
	s := newEndpointSlices(port, 10)
	for i := range all {
		if err := s.put(&all[i]); err != nil {
			return nil, err
		}
	}
	found, err := s.instances()
	if err == nil {
		err = Check(found, Bounds{Most: 10})
	}
	return found, err
}

// texts shows instances as id=address, with a minus before those that drain.
func texts(all []config.Instance) string {
	var out []string
	for _, in := range all {
		text := in.ID + "=" + in.Address
		if in.Draining {
			text = "-" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func TestInstancesOfEndpointSlices(t *testing.T) {
	a, b := pod("a", "10.0.0.1"), pod("b", "10.0.0.2")
	for _, row := range []struct {
		name, port string
		slices     []discoveryv1.EndpointSlice
		want       string
	}{
		{"no conditions: ready", "http", []discoveryv1.EndpointSlice{sliceWith("1", a)}, "a=10.0.0.1:8080"},
		{"not ready", "http", []discoveryv1.EndpointSlice{sliceWith("1", a, with(b, "rst"))}, "a=10.0.0.1:8080"},
		{"ends and serves", "http", []discoveryv1.EndpointSlice{sliceWith("1", a, with(b, "rST"))}, "a=10.0.0.1:8080 -b=10.0.0.2:8080"},
		{"ends and serves no more", "http", []discoveryv1.EndpointSlice{sliceWith("1", a, with(b, "rsT"))}, "a=10.0.0.1:8080 -b=10.0.0.2:8080"},
		{"ends, of a service that publishes what is not ready", "http", []discoveryv1.EndpointSlice{sliceWith("1", a, with(b, "RsT"))}, "a=10.0.0.1:8080 -b=10.0.0.2:8080"},
		{"all end: those that serve take requests", "http", []discoveryv1.EndpointSlice{sliceWith("1", with(a, "rST"), with(b, "rsT"))}, "a=10.0.0.1:8080 -b=10.0.0.2:8080"},
		{"none", "http", []discoveryv1.EndpointSlice{sliceWith("1")}, ""},
		{"no slice", "http", nil, ""},
		{"two slices with one endpoint", "http", []discoveryv1.EndpointSlice{sliceWith("1", with(a, "rST")), sliceWith("2", a, b)}, "a=10.0.0.1:8080 b=10.0.0.2:8080"},
		{"the same the other way round", "http", []discoveryv1.EndpointSlice{sliceWith("1", a, b), sliceWith("2", with(a, "rST"))}, "a=10.0.0.1:8080 b=10.0.0.2:8080"},
		{"an address that moves to a new pod", "http", []discoveryv1.EndpointSlice{sliceWith("1", with(a, "rST"), pod("z", "10.0.0.1"))}, "z=10.0.0.1:8080"},
		{"a stale slice has the address of a new pod", "http", []discoveryv1.EndpointSlice{sliceWith("1", pod("z", "10.0.0.1")), sliceWith("2", a, b)}, "a=10.0.0.1:8080 b=10.0.0.2:8080"},
		{"IPv6", "http", []discoveryv1.EndpointSlice{sixth(sliceWith("1", pod("a", "fd00:0::1")))}, "a=[fd00::1]:8080"},
		{"both families: IPv4 counts", "http", []discoveryv1.EndpointSlice{sixth(sliceWith("1", pod("a", "fd00::1"))), sliceWith("2", a)}, "a=10.0.0.1:8080"},
		{"both families, IPv4 ends", "http", []discoveryv1.EndpointSlice{sixth(sliceWith("1", pod("a", "fd00::1"))), sliceWith("2", with(a, "rST"))}, "a=[fd00::1]:8080"},
		{"no pod", "http", []discoveryv1.EndpointSlice{sliceWith("1", discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}})}, "10.0.0.1:8080=10.0.0.1:8080"},
		{"no pod, IPv6", "http", []discoveryv1.EndpointSlice{sixth(sliceWith("1", discoveryv1.Endpoint{Addresses: []string{"fd00::1"}}))}, "fd00::1:8080=[fd00::1]:8080"},
		{"the only port", "", []discoveryv1.EndpointSlice{sliceWith("1", a)}, "a=10.0.0.1:8080"},
		{"the only TCP port without a name", "", []discoveryv1.EndpointSlice{ported(sliceWith("1", a), "TCP", "=81")}, "a=10.0.0.1:81"},
		{"a number", "9000", []discoveryv1.EndpointSlice{ported(sliceWith("1", a), "TCP", "http=8080", "admin=9000")}, "a=10.0.0.1:9000"},
		{"a number, and slices that name no port", "9000", []discoveryv1.EndpointSlice{ported(sliceWith("1", a), "TCP")}, "a=10.0.0.1:9000"},
		{"pods whose port of this name differs", "http", []discoveryv1.EndpointSlice{sliceWith("1", a), ported(sliceWith("2", b), "TCP", "http=81")}, "a=10.0.0.1:8080 b=10.0.0.2:81"},
		{"pods without the port", "http", []discoveryv1.EndpointSlice{sliceWith("1", a), ported(sliceWith("2", b), "TCP", "web=81")}, "a=10.0.0.1:8080"},
	} {
		got, err := taken(t, row.port, row.slices...)
		if err != nil || texts(got) != row.want {
			t.Errorf("%s: got %q, %v, want %q", row.name, texts(got), err, row.want)
		}
	}
}

func TestAnEndpointHasTagsAndTheUIDOfItsPod(t *testing.T) {
	zone, node := "eu-1a", "node-7"
	e := pod(strings.Repeat("a", 200), "10.0.0.1")
	e.TargetRef.UID = "uid"
	e.Zone, e.NodeName = &zone, &node
	got, err := taken(t, "http", sliceWith("1", e))
	if err != nil || len(got) != 1 || fmt.Sprint(got[0].Tags) != "map[node:node-7 zone:eu-1a]" || got[0].Incarnation != "uid" || got[0].Weight != 1 || len(got[0].ID) != maxID {
		t.Errorf("%+v, %v", got, err)
	}
	if a, b := PodID(strings.Repeat("a", 200)+"1"), PodID(strings.Repeat("a", 200)+"2"); a == b {
		t.Error("long names that differ at their ends have one id")
	}
}

func TestEndpointSlicesThatAreRefused(t *testing.T) {
	a := pod("a", "10.0.0.1")
	names := sliceWith("x", discoveryv1.Endpoint{Addresses: []string{"example.com"}})
	names.AddressType = discoveryv1.AddressTypeFQDN
	dirty := a
	zone := "\x1b[2J"
	dirty.Zone = &zone
	uid := a
	uid.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "a", UID: types.UID(strings.Repeat("u", 200))}
	var many []discoveryv1.Endpoint
	for i := range 11 {
		many = append(many, pod(fmt.Sprint("p", i), fmt.Sprint("10.0.1.", i)))
	}
	var far []discoveryv1.EndpointSlice
	for i := range 5 {
		far = append(far, sliceWith(fmt.Sprint(i), many[:9]...))
	}
	for _, row := range []struct {
		port   string
		slices []discoveryv1.EndpointSlice
		want   string
	}{
		{"http", []discoveryv1.EndpointSlice{names}, `slice "x": has the address type "FQDN", want IPv4 or IPv6; use discovery.dns for names`},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", discoveryv1.Endpoint{})}, `slice "x": endpoint 1 has no address`},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", a, pod("b", "10.0.0.2:80"))}, `slice "x": endpoint 2: "10.0.0.2:80" is no IPv4 address`},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", pod("b", "fd00::1"))}, `"fd00::1" is no IPv4 address`},
		{"http", []discoveryv1.EndpointSlice{sixth(sliceWith("x", a))}, `"10.0.0.1" is no IPv6 address`},
		{"http", []discoveryv1.EndpointSlice{sixth(sliceWith("x", pod("b", "fe80::1%eth0")))}, `is no IPv6 address`},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", dirty)}, `slice "x": endpoint 1 ("a"): want a zone of at most 256 bytes without control characters`},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", uid)}, "want a uid of at most 128 bytes"},
		{"web", []discoveryv1.EndpointSlice{sliceWith("x", a), ported(sliceWith("y", a), "TCP", "admin=9000")}, `the service has no TCP port "web"; it has admin=9000, http=8080`},
		{"", []discoveryv1.EndpointSlice{ported(sliceWith("x", a), "TCP", "http=80", "admin=9000")}, `the service has several ports (admin=9000, http=80): name one in discovery.kubernetes.port`},
		{"http", []discoveryv1.EndpointSlice{ported(sliceWith("x", a), "UDP", "http=80")}, `the service has no TCP port "http"`},
		{"http", []discoveryv1.EndpointSlice{ported(sliceWith("x", a), "TCP", "http=70000")}, `the service has no TCP port "http"`},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", many...)}, "11 endpoints are more than maxInstances, which is 10"},
		{"http", []discoveryv1.EndpointSlice{sliceWith(strings.Repeat("x", 254), a)}, "want a name of at most 253 bytes"},
		{"http", far, "45 endpoints in 5 slices are more than maxInstances permits, which is 10"},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", pod("b", "127.0.0.1"))}, "is an address of this machine"},
		{"http", []discoveryv1.EndpointSlice{sliceWith("x", pod("b", "169.254.169.254"))}, "is a link-local address"},
		{"http", []discoveryv1.EndpointSlice{sixth(sliceWith("x", pod("b", "::1")))}, "is an address of this machine"},
	} {
		if got, err := taken(t, row.port, row.slices...); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("got %q, %v, want %q", texts(got), err, row.want)
		}
	}
}

// A slice that was replaced or removed counts no more.
func TestSlicesThatChangeAreCountedOnce(t *testing.T) {
	s := newEndpointSlices("http", 1)
	for i := range 100 {
		slice := sliceWith(fmt.Sprint(i%2), pod("a", "10.0.0.1"))
		if i%10 == 9 {
			slice.AddressType = "FQDN"
		}
		if err := s.put(&slice); err != nil {
			t.Fatal(err)
		}
	}
	s.remove("0")
	s.remove("1")
	s.remove("1")
	if got, err := s.instances(); s.count != 0 || len(s.byName) != 0 || len(got) != 0 || err != nil {
		t.Errorf("%+v, %v, %v", s, got, err)
	}
}

// A pod of a StatefulSet that is created again has the name and perhaps the address of its predecessor.
func TestAPodThatIsCreatedAgainIsAnotherInstance(t *testing.T) {
	m := newMembership(.01, "kubernetes default/db")
	one, _ := taken(t, "http", sliceWith("x", pod("db-0", "10.0.0.1"), pod("db-1", "10.0.0.2")))
	m.take(one, begin, works)
	again := pod("db-0", "10.0.0.1")
	again.TargetRef.UID = "another"
	two, _ := taken(t, "http", sliceWith("x", again, pod("db-1", "10.0.0.2")))
	if joins, leaves := m.take(two, begin, works); joins != 1 || leaves != 1 || len(m.members) != 2 || m.members[0].Incarnation != "another" {
		t.Errorf("%d joined, %d left, members %v", joins, leaves, m.members)
	}
	if joins, leaves := m.take(two, begin, works); joins != 0 || leaves != 0 {
		t.Errorf("without a change %d joined, %d left", joins, leaves)
	}
}
