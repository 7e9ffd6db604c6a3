package discovery

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/smartlb/smartlb/internal/control/config"
)

// endpointSlices are those of one service. An endpoint that is in several slices is one instance.
type endpointSlices struct {
	port   string // name or number; "": the only one
	most   int    // instances
	byName map[string]endpointSlice
	count  int // usable endpoints of all slices
}

// endpointSlice is what is used of a slice.
type endpointSlice struct {
	endpoints []endpoint
	lacks     bool     // it has endpoints, and not the port
	ports     []string // that it has instead
	err       error    // why the slice cannot be used
}

// endpoint is an instance as one slice has it.
type endpoint struct {
	config.Instance
	six     bool // it has an IPv6 address
	serving bool // while it ends, it still answers
}

func newEndpointSlices(port string, most int) *endpointSlices {
	return &endpointSlices{port: port, most: most, byName: map[string]endpointSlice{}}
}

// Bounds of slices.
const (
	maxFamilies   = 4      // in which an endpoint can be: of IPv4 and IPv6, each twice while it moves
	maxShownPorts = 10     // of a slice without the port
	maxSliceName  = 253    // bytes, as in Kubernetes
	maxSlices     = 20_000 // of one service; with one endpoint each, twice as many as there may be instances
)

// put takes a slice that is new or has changed. The error says that there are too many.
func (s *endpointSlices) put(from *discoveryv1.EndpointSlice) error {
	if len(from.Name) > maxSliceName {
		return fmt.Errorf("slice %.80q: want a name of at most %d bytes", from.Name, maxSliceName)
	}
	s.remove(from.Name)
	slice := s.read(from)
	if slice.err != nil {
		slice.err = fmt.Errorf("slice %.80q: %w", from.Name, slice.err)
	}
	if s.count += len(slice.endpoints); s.count > maxFamilies*s.most || len(s.byName) >= maxSlices {
		return fmt.Errorf("%d endpoints in %d slices are more than maxInstances permits, which is %d", s.count, len(s.byName)+1, s.most)
	}
	s.byName[from.Name] = slice
	return nil
}

// remove forgets a slice.
func (s *endpointSlices) remove(name string) {
	s.count -= len(s.byName[name].endpoints)
	delete(s.byName, name)
}

func (s *endpointSlices) read(from *discoveryv1.EndpointSlice) endpointSlice {
	var is func(netip.Addr) bool
	switch from.AddressType {
	case discoveryv1.AddressTypeIPv4:
		is = netip.Addr.Is4
	case discoveryv1.AddressTypeIPv6:
		is = func(a netip.Addr) bool { return a.Is6() && !a.Is4In6() && a.Zone() == "" }
	default:
		return endpointSlice{err: fmt.Errorf("has the address type %.20q, want IPv4 or IPv6; use discovery.dns for names", from.AddressType)}
	}
	out := endpointSlice{}
	port := 0
	if port, out.ports = portOf(from.Ports, s.port); port == 0 {
		out.lacks = len(from.Endpoints) > 0
		return out
	}
	for i, e := range from.Endpoints {
		if !ready(e) && !ending(e) {
			continue
		}
		if len(e.Addresses) == 0 {
			return endpointSlice{err: fmt.Errorf("endpoint %d has no address", i+1)}
		}
		ip, err := netip.ParseAddr(e.Addresses[0]) // no meaning of further addresses is defined
		if err != nil || !is(ip) {
			return endpointSlice{err: fmt.Errorf("endpoint %d: %.60q is no %s address", i+1, e.Addresses[0], from.AddressType)}
		}
		in, err := instanceOf(e, net.JoinHostPort(ip.String(), strconv.Itoa(port)))
		if err != nil {
			return endpointSlice{err: fmt.Errorf("endpoint %d (%.60q): %w", i+1, in.ID, err)}
		}
		out.endpoints = append(out.endpoints, endpoint{Instance: in, six: ip.Is6(), serving: serving(e)})
	}
	return out
}

// ready reports whether an endpoint takes new requests. Without the condition, it does.
func ready(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

// ending reports whether the end of an endpoint is announced.
func ending(e discoveryv1.Endpoint) bool {
	return e.Conditions.Terminating != nil && *e.Conditions.Terminating
}

// serving reports whether an endpoint answers, also while it ends.
func serving(e discoveryv1.Endpoint) bool {
	if e.Conditions.Serving == nil {
		return ready(e)
	}
	return *e.Conditions.Serving
}

// portOf returns the port that want names, or 0 and the ports that there are. HTTP needs TCP.
func portOf(all []discoveryv1.EndpointPort, want string) (port int, have []string) {
	number, _ := strconv.Atoi(want)
	if len(all) == 0 {
		return number, nil // each endpoint has all ports
	}
	count, last := 0, 0
	for _, p := range all {
		if p.Port == nil || *p.Port < 1 || *p.Port > 65535 || p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			continue
		}
		name := ""
		if p.Name != nil {
			name = *p.Name
		}
		if want != "" && name == want || number == int(*p.Port) {
			return int(*p.Port), nil
		}
		count, last = count+1, int(*p.Port)
		if count <= maxShownPorts {
			have = append(have, strings.TrimPrefix(fmt.Sprintf("%.63s=%d", name, last), "="))
		}
	}
	if want == "" && count == 1 {
		return last, nil
	}
	return 0, have
}

// instanceOf converts an endpoint. A pod is named by its name. Pods of a StatefulSet have the names of earlier ones, so the uid
// tells them apart.
func instanceOf(e discoveryv1.Endpoint, address string) (config.Instance, error) {
	in := config.Instance{ID: withoutBrackets.Replace(address), Address: address, Weight: 1, Draining: !ready(e) || ending(e)}
	if ref := e.TargetRef; ref != nil && ref.Kind == "Pod" && ref.Name != "" {
		in.ID = PodID(ref.Name)
		if in.Incarnation = string(ref.UID); len(in.Incarnation) > maxUID {
			return in, fmt.Errorf("want a uid of at most %d bytes", maxUID)
		}
	}
	for name, value := range map[string]*string{"zone": e.Zone, "node": e.NodeName} {
		if value == nil || *value == "" {
			continue
		}
		if !tagText(*value) {
			return in, fmt.Errorf("want a %s of at most %d bytes without control characters", name, maxLabelValue)
		}
		if in.Tags == nil {
			in.Tags = map[string]string{}
		}
		in.Tags[name] = *value
	}
	return in, in.Check()
}

// Bounds of ids.
const (
	maxUID = 128 // bytes; Kubernetes has 36
	maxID  = 128 // bytes; names of pods have up to 253
)

// PodID returns the id of the instance that is a pod. Long names are cut, and a digest keeps them apart.
func PodID(name string) string {
	id := idOf(name)
	if len(id) <= maxID {
		return id
	}
	digest := sha256.Sum256([]byte(name))
	return id[:maxID-17] + "-" + hex.EncodeToString(digest[:8])
}

// instances returns the instances that all slices have together. Those that end are draining, unless all of them end: then
// those that still serve take requests, as in Kubernetes.
func (s *endpointSlices) instances() ([]config.Instance, error) {
	byID := map[string]endpoint{}
	var ports []string
	found, lacks := false, false
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		slice := s.byName[name]
		if slice.err != nil {
			return nil, slice.err
		}
		found = found || len(slice.endpoints) > 0
		lacks = lacks || slice.lacks
		ports = append(ports, slice.ports...)
		for _, e := range slice.endpoints {
			if have, twice := byID[e.ID]; !twice || e.before(have) {
				byID[e.ID] = e
			}
		}
	}
	if !found && lacks {
		return nil, s.noPort(ports)
	}
	return s.unique(byID)
}

// before reports whether an endpoint counts, and not another one of the same id or address: one that is ready before one that
// ends, IPv4 before IPv6.
func (e endpoint) before(other endpoint) bool {
	if e.Draining != other.Draining {
		return other.Draining
	}
	return !e.six && other.six
}

// unique leaves one endpoint at each address, one that is ready before one that ends. A slice that is behind may still have a pod
// whose address another one got; the rest of the list must not wait for it.
func (s *endpointSlices) unique(byID map[string]endpoint) ([]config.Instance, error) {
	if len(byID) > s.most {
		return nil, fmt.Errorf("%d endpoints are more than maxInstances, which is %d", len(byID), s.most)
	}
	all := slices.SortedFunc(maps.Values(byID), func(a, b endpoint) int {
		if a.Draining != b.Draining {
			return map[bool]int{false: -1, true: 1}[a.Draining]
		}
		return cmp.Compare(a.ID, b.ID)
	})
	taken, none := map[string]bool{}, len(all) > 0 && all[0].Draining
	out := make([]config.Instance, 0, len(all))
	for _, e := range all {
		if taken[e.Address] {
			continue
		}
		taken[e.Address] = true
		if none && e.serving {
			e.Draining = false
		}
		out = append(out, e.Instance)
	}
	slices.SortFunc(out, func(a, b config.Instance) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func (s *endpointSlices) noPort(have []string) error {
	slices.Sort(have)
	have = slices.Compact(have)
	list := strings.Join(have[:min(len(have), maxShownPorts)], ", ")
	switch {
	case len(have) == 0:
		list = "none"
	case s.port == "":
		return fmt.Errorf("the service has several ports (%s): name one in discovery.kubernetes.port", list)
	}
	return fmt.Errorf("the service has no TCP port %.63q; it has %s", s.port, list)
}
