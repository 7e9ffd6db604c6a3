package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack"
)

// Question defines what Gather checks.
type Question struct {
	Kafka       kafka.Config
	Origin      string // where the brokers were configured
	Catalog     topic.Catalog
	ZooKeeper   string                                            // address; empty: not checked
	UI          string                                            // address; empty: not checked
	Connect     string                                            // address; empty: not checked
	StateDir    string                                            // of the local stack; empty: not checked
	KafkaBroker string                                            // the variable KAFKA_BROKER
	Java        func(context.Context) (version string, err error) // nil: not checked
	Now         func() time.Time                                  // default time.Now
	Timeout     time.Duration                                     // limit of the whole run, default 10 s; each part, such as a page or a broker, gets a third
}

// Gather checks everything at once. It does not fail: a failed check is a fact too. It returns within
// Question.Timeout.
func Gather(ctx context.Context, q Question) Facts {
	if q.Now == nil {
		q.Now = time.Now
	}
	if q.Timeout <= 0 {
		q.Timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	f := Facts{
		Now: q.Now(), Desired: q.Catalog, KafkaBroker: q.KafkaBroker, Topics: []Topic{}, Denied: []string{}, Disks: []Disk{},
		Target: Target{Brokers: q.Kafka.Brokers, Origin: q.Origin, TLS: q.Kafka.Security.TLS.On(), Login: q.Kafka.Security.SASL.Mechanism, User: q.Kafka.Security.SASL.User},
	}
	f.State = lookAtState(q.StateDir)
	running := func(name string) bool {
		for _, s := range append(f.State.Running, f.State.Stale...) {
			if s == name {
				return true
			}
		}
		return false
	}
	var wg sync.WaitGroup
	wg.Go(func() { f.kafka(ctx, q) })
	if q.ZooKeeper != "" {
		f.ZooKeeper = &ZooKeeper{Address: q.ZooKeeper, Needed: running("zookeeper")}
		wg.Go(func() { f.ZooKeeper.look(ctx, q.Timeout/3) })
	}
	if q.UI != "" {
		f.UI = &Web{Address: q.UI, Needed: running(stack.UIName)}
		wg.Go(func() { f.UI.look(ctx, q.Timeout/3) })
	}
	if q.Connect != "" {
		f.Connect = &Connect{Address: q.Connect, Needed: running("connect"), Failed: []string{}, Waiting: map[string][]string{}}
		wg.Go(func() { f.Connect.look(ctx, q.Timeout/3) })
	}
	if q.Java != nil {
		wg.Go(func() { f.Java = lookAtJava(ctx, q.Java) })
	}
	if q.StateDir != "" {
		if d, ok := disk(existing(q.StateDir)); ok {
			f.Disks = append(f.Disks, d)
		}
	}
	wg.Wait()
	f.waiting()
	return f
}

// waiting reduces the topics that connectors name to those that do not exist in the cluster. The result is empty if the
// worker uses another cluster, or if the topics are unknown.
func (f *Facts) waiting() {
	c := f.Connect
	if c == nil {
		return
	}
	if f.exists == nil || c.Cluster != f.Cluster.ID {
		c.Waiting = nil
		return
	}
	for name, topics := range c.Waiting {
		topics = slices.DeleteFunc(topics, func(t string) bool { return f.exists[t] })
		if len(topics) == 0 {
			delete(c.Waiting, name)
			continue
		}
		c.Waiting[name] = topics
	}
}

// kafka collects facts about the cluster.
func (f *Facts) kafka(ctx context.Context, q Question) {
	f.Cluster.Controller, f.Cluster.Brokers = -1, []Broker{}
	if err := kafka.CheckConnection(ctx, q.Kafka); err != nil {
		cause, text := kafka.Explain(err, q.Kafka)
		f.Unreachable = &Failure{string(cause), text, err.Error()}
		return
	}
	admin, err := kafka.NewAdminWithin(ctx, q.Kafka)
	if err != nil {
		f.Unreachable = &Failure{string(kafka.CauseUnknown), "", err.Error()}
		return
	}
	defer admin.Close()
	adm := kadm.NewClient(admin.Client())
	m, err := adm.Metadata(ctx)
	if err != nil {
		cause, text := kafka.Explain(err, q.Kafka)
		f.Unreachable = &Failure{string(cause), text, err.Error()}
		return
	}
	f.Cluster.ID, f.Cluster.Controller = m.Cluster, m.Controller
	f.exists = map[string]bool{}
	for _, d := range m.Topics {
		f.exists[d.Topic] = true // also if it may not be described
	}
	f.brokers(ctx, q, m.Brokers)
	f.topics(ctx, adm, m.Topics)
	f.limits(ctx, adm)
	f.newest(ctx, adm)
}

// brokers checks every advertised address.
func (f *Facts) brokers(ctx context.Context, q Question, listed kadm.BrokerDetails) {
	f.Cluster.Brokers = make([]Broker, len(listed))
	var wg sync.WaitGroup
	for i, b := range listed {
		wg.Go(func() {
			out := Broker{ID: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))}
			defer func() { f.Cluster.Brokers[i] = out }()
			resolve, cancel := context.WithTimeout(ctx, q.Timeout/3)
			defer cancel()
			if _, err := net.DefaultResolver.LookupHost(resolve, b.Host); err != nil {
				out.Problem = err.Error()
				return
			}
			out.Resolves = true
			conn, err := (&net.Dialer{Timeout: q.Timeout / 3}).DialContext(ctx, "tcp", out.Address)
			if err != nil {
				out.Problem = err.Error()
				return
			}
			conn.Close()
			out.Answers = true
			cfg := q.Kafka
			cfg.Brokers, cfg.DialTimeout, cfg.RequestTimeout = []string{out.Address}, q.Timeout/3, q.Timeout/3
			there, err := kafka.NewAdminWithin(ctx, cfg)
			if err != nil {
				out.Problem = err.Error()
				return
			}
			defer there.Close()
			cluster, err := there.Describe(ctx, topic.NodeStatus)
			if err != nil {
				out.Problem = err.Error()
			}
			out.Cluster = cluster.ID
		})
	}
	wg.Wait()
}

// topics checks the topics of the catalog and of Kafka Connect.
func (f *Facts) topics(ctx context.Context, adm *kadm.Client, listed kadm.TopicDetails) {
	f.Behind = map[int32]int{}
	wanted := map[string]bool{}
	for _, s := range f.Desired {
		wanted[s.Name] = true
	}
	for _, name := range ConnectTopics() {
		wanted[name] = true
	}
	var names []string
	for _, d := range listed.Sorted() {
		if d.Err != nil {
			f.deny(d.Err, "describe topic "+d.Topic)
			continue
		}
		t := Topic{Actual: topic.Actual{Name: d.Topic, Partitions: int32(len(d.Partitions)), Replicas: int16(d.Partitions.NumReplicas()), Configs: map[string]string{}}}
		for _, p := range d.Partitions {
			for _, r := range p.Replicas {
				if !slices.Contains(p.ISR, r) {
					f.Behind[r]++
				}
			}
			if p.Leader < 0 || errors.Is(p.Err, kerr.LeaderNotAvailable) {
				t.Leaderless++
			} else if len(p.ISR) < len(p.Replicas) {
				t.UnderReplicated++
			}
		}
		if wanted[d.Topic] {
			names = append(names, d.Topic)
		} else if t.Leaderless+t.UnderReplicated == 0 {
			continue // another application's topic, and healthy
		}
		f.Topics = append(f.Topics, t)
	}
	if len(names) == 0 {
		return
	}
	configs, err := adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		f.deny(err, "describe topic configurations")
		return
	}
	for _, c := range configs {
		if c.Err != nil {
			f.deny(c.Err, "describe configuration of topic "+c.Name)
			continue
		}
		for i := range f.Topics {
			if f.Topics[i].Name != c.Name {
				continue
			}
			for _, one := range c.Configs {
				f.Topics[i].Configs[one.Key] = one.MaybeValue()
			}
		}
	}
}

// deny records what an ACL does not permit.
func (f *Facts) deny(err error, what string) {
	if errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) {
		f.Denied = append(f.Denied, what)
	}
}

// limits requests the largest batch that the brokers accept.
func (f *Facts) limits(ctx context.Context, adm *kadm.Client) {
	ids := make([]int32, 0, len(f.Cluster.Brokers))
	for _, b := range f.Cluster.Brokers {
		ids = append(ids, b.ID)
	}
	configs, err := adm.DescribeBrokerConfigs(ctx, ids...)
	if err != nil {
		f.deny(err, "describe broker configurations")
		return
	}
	for _, c := range configs {
		f.deny(c.Err, "describe configuration of broker "+c.Name)
		for _, one := range c.Configs {
			if n, err := strconv.ParseInt(one.MaybeValue(), 10, 64); one.Key == "message.max.bytes" && err == nil && (f.MaxMessage == 0 || n < f.MaxMessage) {
				f.MaxMessage = n
			}
		}
	}
}

// newest finds the latest record of the catalog's topics.
func (f *Facts) newest(ctx context.Context, adm *kadm.Client) {
	var names []string
	for _, t := range f.Topics {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return
	}
	listed, err := adm.ListMaxTimestampOffsets(ctx, names...)
	if err != nil {
		f.deny(err, "list offsets")
		return
	}
	var highest int64 = -1
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && o.Timestamp > highest {
			highest, f.NewestIn = o.Timestamp, o.Topic
		}
	})
	if highest >= 0 {
		f.NewestAt = time.UnixMilli(highest)
	}
}

// lookAtState checks the state folder of the local stack.
func lookAtState(dir string) State {
	s := State{Dir: dir, Stale: []string{}, Running: []string{}}
	if dir == "" {
		return s
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".pid")
		p := &stack.Process{ID: name, Dir: dir}
		switch p.Status(context.Background()).State { // no health check: it reads two files
		case stack.Running:
			s.Running = append(s.Running, name)
		case stack.Failed:
			s.Stale = append(s.Stale, name)
		}
	}
	if _, err := os.Stat(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Problem = err.Error()
		return s
	}
	where := existing(dir)
	probe, err := os.CreateTemp(where, ".smartlb-doctor-*")
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		s.Problem = fmt.Sprintf("cannot be written: %v", err)
		return s
	}
	_ = probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		s.Problem = err.Error()
	}
	return s
}

// existing returns the nearest existing parent folder of a path.
func existing(path string) string {
	for {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
		up := filepath.Dir(path)
		if up == path {
			return path
		}
		path = up
	}
}

func lookAtJava(ctx context.Context, find func(context.Context) (string, error)) *Java {
	version, err := find(ctx)
	j := &Java{Version: version}
	if err != nil && version == "" {
		j.Problem = err.Error()
		return j
	}
	v := strings.TrimPrefix(version, "1.") // 1.8 is 8
	end := strings.IndexFunc(v, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(v)
	}
	j.Feature, _ = strconv.Atoi(v[:end])
	return j
}
