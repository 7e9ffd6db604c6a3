package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/control/config"
)

// dnsSource looks up a name.
type dnsSource struct {
	name      string
	srv       bool // the name has SRV records
	port      int  // of addresses; not with srv
	resolvers []string
	interval  time.Duration // longest time between two look-ups
	timeout   time.Duration // of a look-up with all its queries
	most      int           // targets
}

// minTTL is the shortest time between two look-ups, whatever the records say.
const minTTL = time.Second

// run looks the name up whenever its records have expired, at the latest after the interval.
func (s dnsSource) run(ctx context.Context, tell report) {
	failures := 0
	for {
		within, cancel := context.WithTimeout(ctx, s.timeout)
		found, ttl, err := s.lookUp(within)
		cancel()
		if ctx.Err() != nil {
			return
		}
		tell(found, err)
		pause := min(max(ttl, minTTL), s.interval)
		if err != nil {
			pause = backoff.Policy{Base: minTTL, Max: s.interval}.Delay(failures, rand.Float64())
			failures++
		} else {
			failures = 0
		}
		if !backoff.Sleep(ctx, pause) {
			return
		}
	}
}

// lookUp returns the instances that the records name, and how long the records are valid.
func (s dnsSource) lookUp(ctx context.Context) ([]config.Instance, time.Duration, error) {
	l := look{ctx: ctx, ttl: s.interval, servers: s.resolvers}
	names := []string{dns.Fqdn(s.name)}
	if len(s.resolvers) == 0 {
		system, err := dns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return nil, 0, fmt.Errorf("the resolvers of the system: %w", err)
		}
		names = system.NameList(s.name)
		for _, host := range system.Servers {
			l.servers = append(l.servers, net.JoinHostPort(host, system.Port))
		}
	}
	if len(l.servers) == 0 {
		return nil, 0, errors.New("the system has no resolver: name one in dns.resolvers")
	}
	var err error
	for _, name := range names { // those of the search list, until one exists
		var found []config.Instance
		if s.srv {
			found, err = l.services(name, s.most)
		} else {
			found, err = l.hosts(name, s.port)
		}
		if !errors.Is(err, errNoName) {
			return found, l.ttl, err
		}
	}
	return nil, 0, err
}

// resolvConf names the resolvers of the system.
const resolvConf = "/etc/resolv.conf"

// look is one look-up with its queries.
type look struct {
	ctx     context.Context
	servers []string
	ttl     time.Duration // shortest of the records
}

var errNoName = errors.New("the name does not exist (NXDOMAIN)")

// refusal says that a resolver does not answer questions of a type.
type refusal string

// Error returns the text.
func (r refusal) Error() string { return string(r) }

// ask queries the resolvers in their order, until one gives an answer.
func (l *look) ask(name string, kind uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	q.SetEdns0(dns.DefaultMsgSize, false)
	var last error
	for i, server := range l.servers {
		r, err := l.exchange(q, server, len(l.servers)-i)
		switch {
		case err != nil:
			last = fmt.Errorf("resolver %s: %w", server, plainNet(err))
		case r.Rcode == dns.RcodeNameError:
			return nil, errNoName
		case r.Rcode == dns.RcodeRefused, r.Rcode == dns.RcodeNotImplemented:
			last = refusal(refused(server, q, r))
		case r.Rcode != dns.RcodeSuccess:
			last = errors.New(refused(server, q, r))
		default:
			return r, nil
		}
		if l.ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

func refused(server string, q, r *dns.Msg) string {
	asked := q.Question[0]
	return fmt.Sprintf("resolver %s answers %s to the question %s %s", server, dns.RcodeToString[r.Rcode], strings.TrimSuffix(asked.Name, "."), dns.TypeToString[asked.Qtype])
}

// exchange sends a query by UDP, and by TCP if the answer does not fit. It uses at most its share of the time that is left
// for this resolver and the others.
func (l *look) exchange(q *dns.Msg, server string, others int) (*dns.Msg, error) {
	ctx := l.ctx
	if end, ok := ctx.Deadline(); ok && others > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(others))
		defer cancel()
	}
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, UDPSize: dns.DefaultMsgSize}
		r, _, err := client.ExchangeContext(ctx, q, server)
		switch {
		case err != nil:
			return nil, err
		case r.Truncated && network == "udp":
			continue
		case len(r.Question) != 1 || !strings.EqualFold(r.Question[0].Name, q.Question[0].Name) || r.Question[0].Qtype != q.Question[0].Qtype:
			return nil, errors.New("it answers another question")
		}
		return r, nil
	}
	return nil, errors.New("the answer is cut off")
}

func plainNet(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

// note takes the time for which a record is valid.
func (l *look) note(h *dns.RR_Header) {
	l.ttl = min(l.ttl, time.Duration(h.Ttl)*time.Second)
}

// addresses returns the addresses of a name, sorted. Some resolvers refuse or deny the type that a name does not have; that
// counts as no address if the name has addresses of the other type.
func (l *look) addresses(name string) (out []netip.Addr, err error) {
	var denied error
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		r, err := l.ask(name, kind)
		if errors.As(err, new(refusal)) || errors.Is(err, errNoName) {
			denied = err
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, rr := range r.Answer {
			var ip net.IP
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			l.note(rr.Header()) // also of an alias
			if a, ok := netip.AddrFromSlice(ip); ok {
				out = append(out, a.Unmap())
			}
		}
	}
	if len(out) == 0 && denied != nil {
		return nil, denied
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}

// hosts returns an instance for each address of a name.
func (l *look) hosts(name string, port int) ([]config.Instance, error) {
	all, err := l.addresses(name)
	if err != nil {
		return nil, err
	}
	out := make([]config.Instance, len(all))
	for i, a := range all {
		out[i] = at(a, port)
	}
	return out, nil
}

func at(a netip.Addr, port int) config.Instance {
	p := strconv.Itoa(port)
	return config.Instance{ID: a.String() + ":" + p, Address: net.JoinHostPort(a.String(), p), Weight: 1}
}

// services returns an instance for each address that the SRV records of a name lead to (RFC 2782). Those with a higher
// number than the lowest priority are backups.
func (l *look) services(name string, most int) ([]config.Instance, error) {
	r, err := l.ask(name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var records []*dns.SRV
	for _, rr := range r.Answer {
		l.note(rr.Header())
		if srv, ok := rr.(*dns.SRV); ok && srv.Target != "." { // "." stands for no service
			records = append(records, srv)
		}
	}
	if len(records) > most {
		return nil, fmt.Errorf("%d SRV records are more than maxInstances, which is %d", len(records), most)
	}
	first, total, weighty := uint16(0xffff), 0, 0
	for _, srv := range records {
		first = min(first, srv.Priority)
		if srv.Weight > 0 {
			total, weighty = total+int(srv.Weight), weighty+1
		}
	}
	known := map[string][]netip.Addr{}
	taken := map[string]bool{}
	var out []config.Instance
	for _, srv := range records {
		host := strings.ToLower(srv.Target)
		addresses, ok := known[host]
		if !ok {
			if addresses, err = l.addresses(host); err != nil {
				return nil, fmt.Errorf("target %.100s: %w", strings.TrimSuffix(host, "."), err)
			}
			known[host] = addresses
		}
		for _, a := range addresses {
			in := at(a, int(srv.Port))
			in.Weight = srvWeight(srv.Weight, total, weighty)
			in.Backup = srv.Priority > first
			in.Tags = map[string]string{"host": strings.TrimSuffix(host, ".")}
			if !taken[in.ID] { // two names may lead to one address
				taken[in.ID] = true
				out = append(out, in)
			}
		}
		if len(out) > most {
			return nil, fmt.Errorf("the SRV records lead to more addresses than maxInstances, which is %d", most)
		}
	}
	return out, nil
}

// srvWeight converts a weight so that the mean of all is 1. A weight of 0 stands for few requests, unless all have it.
func srvWeight(w uint16, total, weighty int) float64 {
	if weighty == 0 {
		return 1
	}
	return min(max(float64(w)*float64(weighty)/float64(total), .01), 1000)
}
