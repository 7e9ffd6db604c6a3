package doctor

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Status is the result of a check.
type Status string

// Results.
const (
	OK      Status = "ok"
	Warning Status = "warning" // works, but not forever or not for everything
	Problem Status = "problem" // does not work
	Skipped Status = "skipped" // does not exist and is not needed, or could not be checked
)

// Groups of checks, in display order.
const (
	GroupKafka     = "kafka"
	GroupListeners = "listeners"
	GroupTopics    = "topics"
	GroupReplicas  = "replicas"
	GroupClock     = "clock"
	GroupZooKeeper = "zookeeper"
	GroupUI        = "kafka-ui"
	GroupConnect   = "connect"
	GroupDisk      = "disk"
	GroupState     = "state"
	GroupJava      = "java"
)

// Check is the result of one check.
type Check struct {
	ID     string `json:"id"` // stable; for a problem, its kind
	Group  string `json:"group"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Cause  string `json:"cause,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Report holds all checks. In each group, problems come first.
type Report struct {
	Healthy bool    `json:"healthy"` // no check is a problem
	Checks  []Check `json:"checks"`
}

// Limits for a healthy result.
const (
	diskWarning  = 0.15 // free share
	diskProblem  = 0.05
	diskReserve  = 64 << 20 // free bytes below which the embedded broker accepts no records
	clockWarning = 5 * time.Second
	oldestJava   = 17 // Kafka 4 is compiled for it
)

// Examine applies all rules to facts.
func Examine(f Facts) Report {
	r := Report{Checks: []Check{}}
	for _, rule := range []func(Facts) []Check{connection, controller, listeners, denied, topics, limits, replicas, clock, zookeeper, ui, connectWorker, disks, state, java} {
		r.Checks = append(r.Checks, rule(f)...)
	}
	r.Healthy = !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == Problem })
	return r
}

// Group returns the checks of a group and its worst status.
func (r Report) Group(name string) (all []Check, worst Status) {
	order := []Status{Skipped, OK, Warning, Problem}
	worst = Skipped
	for _, c := range r.Checks {
		if c.Group != name {
			continue
		}
		all = append(all, c)
		if slices.Index(order, c.Status) > slices.Index(order, worst) {
			worst = c.Status
		}
	}
	return all, worst
}

func one(id, group string, s Status, found, cause, fix string) []Check {
	return []Check{{id, group, s, found, cause, fix}}
}

// connection checks whether a broker can be used.
func connection(f Facts) []Check {
	where := fmt.Sprintf("%s (%s)", strings.Join(f.Target.Brokers, ","), f.Target.Origin)
	if f.Unreachable == nil {
		return one("kafka", GroupKafka, OK, fmt.Sprintf("%s answers; cluster %s, brokers: %d", where, f.Cluster.ID, len(f.Cluster.Brokers)), "", "")
	}
	fix, ok := map[kafka.Cause]string{
		kafka.CauseRefused:      "start it (smartlb kafka start), or set running brokers with -b, --profile or KAFKA_BROKER",
		kafka.CauseUnresolved:   "check the spelling, /etc/hosts and DNS",
		kafka.CauseTimeout:      "check firewalls and routes; if the process runs, see why it hangs: smartlb kafka logs kafka",
		kafka.CauseNotTLS:       "remove tls from the profile, or use the port of a TLS listener",
		kafka.CauseWantsTLS:     "smartlb profile add NAME -b ... --tls, with --tls-ca FILE for an authority of your own",
		kafka.CauseWantsLogin:   "smartlb profile add NAME -b ... --sasl SCRAM-SHA-512 --user NAME --password '${env:VARIABLE}', or another port",
		kafka.CauseLogin:        "check user and password; smartlb profile show names their source",
		kafka.CauseMechanism:    "choose a mechanism of the listener with --sasl, or a listener without a login",
		kafka.CauseUnknownCA:    "smartlb profile add ... --tls-ca FILE with the authority's certificate",
		kafka.CauseCertName:     "use a name of the certificate in the address, or --tls-server-name",
		kafka.CauseCertTime:     "renew the broker's certificate, or set this machine's clock right",
		kafka.CauseWantsCert:    "smartlb profile add ... --tls-cert FILE --tls-key FILE",
		kafka.CauseNotKafka:     "use Kafka's own port (usually 9092)",
		kafka.CauseMissingFile:  "create the file, or set another path in the profile",
		kafka.CauseDenied:       "grant what deployment/kafka/acls.yaml lists for this role",
		kafka.CauseMissingTopic: "smartlb kafka apply",
	}[kafka.Cause(f.Unreachable.Cause)]
	if !ok {
		fix = "smartlb kafka logs kafka may show the reason"
	}
	id, cause := "kafka-"+f.Unreachable.Cause, f.Unreachable.Text
	if cause == "" {
		cause = f.Unreachable.Error
	}
	if f.Unreachable.Cause == string(kafka.CauseRefused) && f.Target.Origin == "KAFKA_BROKER" {
		id, fix = "kafka-broker-variable-dead", "unset KAFKA_BROKER or set it to a running broker; smartlb kafka start starts a broker on this machine"
		cause = fmt.Sprintf("the variable KAFKA_BROKER is %s, where no process listens", f.KafkaBroker)
	}
	return one(id, GroupKafka, Problem, where+" is unreachable", cause, fix)
}

// controller checks that the cluster has a controller.
func controller(f Facts) []Check {
	if f.Unreachable != nil || f.Cluster.Controller >= 0 {
		return nil
	}
	return one("controller-missing", GroupKafka, Problem, "the cluster has no controller", "the controllers (or ZooKeeper) have no majority: topics cannot be created and leaders cannot be elected",
		"start the controllers that are down; with ZooKeeper: smartlb kafka health names its state")
}

// listeners checks that every broker answers at its advertised address. A common mistake with Kafka: the first address
// works, the advertised address does not.
func listeners(f Facts) []Check {
	if f.Unreachable != nil {
		return nil
	}
	var bad []Check
	for _, b := range f.Cluster.Brokers {
		found := fmt.Sprintf("broker %d advertises %s", b.ID, b.Address)
		first := fmt.Sprintf("%s answered and redirected the client to %s, ", strings.Join(f.Target.Brokers, ","), b.Address)
		fix := "set advertised.listeners of that broker to an address that this machine can reach, or connect to the listener for this network"
		switch {
		case !b.Resolves:
			bad = append(bad, Check{"advertised-unresolved", GroupListeners, Problem, found, first + "a name that does not resolve on this machine", fix + "; or put the name into /etc/hosts"})
		case !b.Answers:
			bad = append(bad, Check{"advertised-unreachable", GroupListeners, Problem, found, first + "which is unreachable: " + b.Problem, fix})
		case b.Cluster != "" && b.Cluster != f.Cluster.ID:
			bad = append(bad, Check{"advertised-other-cluster", GroupListeners, Problem, found,
				fmt.Sprintf("another cluster answers there (%s, not %s): two brokers share a host name, or a port is forwarded to the wrong broker", b.Cluster, f.Cluster.ID), fix})
		}
	}
	if len(bad) > 0 {
		return bad
	}
	var addresses []string
	for _, b := range f.Cluster.Brokers {
		addresses = append(addresses, b.Address)
	}
	return one("listeners", GroupListeners, OK, "every advertised address answers: "+strings.Join(addresses, ","), "", "")
}

// denied reports what could not be read because of ACLs.
func denied(f Facts) []Check {
	if len(f.Denied) == 0 {
		return nil
	}
	return one("acl-denied", GroupKafka, Warning, "not allowed: "+strings.Join(f.Denied, ", "), fmt.Sprintf("no ACL gives %q these rights", f.Target.User),
		"an administrator grants the ACLs of deployment/kafka/acls.yaml; a role needs all of its rights")
}

// topics checks that the topics of the catalog exist and match it.
func topics(f Facts) []Check {
	if f.Unreachable != nil || len(f.Desired) == 0 {
		return nil
	}
	have := map[string]topic.Actual{}
	for _, t := range f.Topics {
		have[t.Name] = t.Actual
	}
	var missing, sizes []string
	var bad []Check
	for _, want := range f.Desired {
		t, ok := have[want.Name]
		if !ok {
			missing = append(missing, want.Name)
			continue
		}
		if t.Partitions != want.Partitions {
			fix := "smartlb kafka plan shows the change; more partitions move keys"
			if t.Partitions > want.Partitions {
				fix = "Kafka cannot remove partitions: delete the topic and run smartlb kafka apply, which loses its records, or change the catalog"
			}
			bad = append(bad, Check{"topic-partitions", GroupTopics, Warning, fmt.Sprintf("%s has %d partitions, the catalog says %d", want.Name, t.Partitions, want.Partitions),
				"another program created it, or it was created automatically; the analyzer stops if its inputs have unequal partitions", fix})
		}
		for key, value := range want.Configs {
			got := t.Configs[key]
			if got == value {
				continue
			}
			if key == "max.message.bytes" {
				sizes = append(sizes, fmt.Sprintf("%s: %s", want.Name, orDefault(got)))
				continue
			}
			bad = append(bad, Check{"topic-drift", GroupTopics, Warning, fmt.Sprintf("%s has %s=%s, the catalog says %s", want.Name, key, orDefault(got), value),
				"it was changed by hand, or another program created it", "smartlb kafka apply sets it"})
		}
	}
	if len(missing) > 0 {
		bad = append(bad, Check{"topic-missing", GroupTopics, Warning, "missing: " + strings.Join(missing, ", "), "they were not created yet, or were deleted", "smartlb kafka apply"})
	}
	if len(sizes) > 0 {
		bad = append(bad, Check{"topic-message-size", GroupTopics, Warning, "max.message.bytes differs: " + strings.Join(sizes, ", "),
			"values of the size that the catalog allows would be refused", "smartlb kafka apply sets it"})
	}
	slices.SortStableFunc(bad, func(a, b Check) int { return strings.Compare(a.ID+a.Found, b.ID+b.Found) })
	if len(bad) > 0 {
		return bad
	}
	return one("topics", GroupTopics, OK, fmt.Sprintf("all %d topics match the catalog", len(f.Desired)), "", "")
}

func orDefault(v string) string {
	if v == "" {
		return "(default)"
	}
	return v
}

// limits checks that the brokers accept the largest documented record.
func limits(f Facts) []Check {
	if f.MaxMessage == 0 || f.MaxMessage >= kafka.MaxBatchBytes {
		return nil
	}
	return one("message-max-bytes", GroupTopics, Warning, fmt.Sprintf("message.max.bytes of a broker is %d", f.MaxMessage),
		fmt.Sprintf("smartlb promises values of up to %d bytes; topics without max.message.bytes of their own refuse them, and so do followers", kafka.MaxValueBytes),
		fmt.Sprintf("message.max.bytes=%d and replica.fetch.max.bytes=%d on every broker", kafka.MaxBatchBytes, kafka.MaxBatchBytes))
}

// replicas checks that every partition has a leader and its followers.
func replicas(f Facts) []Check {
	if f.Unreachable != nil {
		return nil
	}
	var leaderless, under []string
	for _, t := range f.Topics {
		if t.Leaderless > 0 {
			leaderless = append(leaderless, fmt.Sprintf("%s (%d)", t.Name, t.Leaderless))
		}
		if t.UnderReplicated > 0 {
			under = append(under, fmt.Sprintf("%s (%d)", t.Name, t.UnderReplicated))
		}
	}
	var bad []Check
	if len(leaderless) > 0 {
		bad = append(bad, Check{"leaderless", GroupReplicas, Problem, "partitions without a leader: " + strings.Join(leaderless, ", "),
			"their brokers are down: these partitions can neither be read nor written", "start the brokers; smartlb kafka brokers lists the brokers that are up"})
	}
	if len(under) > 0 {
		cause, fix := behind(f)
		bad = append(bad, Check{"under-replicated", GroupReplicas, Warning, "partitions with fewer replicas in sync than they should have: " + strings.Join(under, ", "), cause, fix})
	}
	if len(bad) > 0 {
		return bad
	}
	return one("replicas", GroupReplicas, OK, "every partition has its leader and its replicas", "", "")
}

// behind names the brokers whose replicas are not in sync.
func behind(f Facts) (cause, fix string) {
	var away, slow []string
	for _, id := range slices.Sorted(maps.Keys(f.Behind)) {
		if slices.ContainsFunc(f.Cluster.Brokers, func(b Broker) bool { return b.ID == id }) {
			slow = append(slow, fmt.Sprintf("%d (%d)", id, f.Behind[id]))
		} else {
			away = append(away, fmt.Sprintf("%d (%d)", id, f.Behind[id]))
		}
	}
	var causes, fixes []string
	if len(away) > 0 {
		causes = append(causes, "not in the cluster: broker "+strings.Join(away, ", "))
		fixes = append(fixes, "start the missing broker; its log says why it ended")
	}
	if len(slow) > 0 {
		causes = append(causes, "in the cluster and behind, because it has just started or cannot keep up: broker "+strings.Join(slow, ", "))
		fixes = append(fixes, "check disk and load of the brokers that stay behind")
	}
	return strings.Join(causes, "; ") + ": if another broker fails, records may be lost", strings.Join(fixes, "; ")
}

// clock checks for records with timestamps in the future.
func clock(f Facts) []Check {
	if f.NewestAt.IsZero() {
		return nil
	}
	ahead := f.NewestAt.Sub(f.Now)
	if ahead > clockWarning {
		return one("clock-skew", GroupClock, Warning, fmt.Sprintf("the newest record of %s is %s ahead of this machine's clock", f.NewestIn, ahead.Round(time.Second)),
			"the clock of this machine or of a producer is wrong: ages, windows and retention by time are wrong as well", "run a time service (chrony, systemd-timesyncd) on every machine")
	}
	return one("clock", GroupClock, OK, fmt.Sprintf("no record is from the future; the newest (%s) is %s old", f.NewestIn, (-ahead).Round(time.Second)), "", "")
}

// zookeeper checks that ZooKeeper answers, and in which mode.
func zookeeper(f Facts) []Check {
	z := f.ZooKeeper
	if z == nil {
		return nil
	}
	if z.Mode != "" {
		return one("zookeeper", GroupZooKeeper, OK, fmt.Sprintf("%s answers, mode %s", z.Address, z.Mode), "", "")
	}
	if !hostPort(z.Address) { // set on purpose: the defaults are addresses
		return one("zookeeper-address", GroupZooKeeper, Problem, fmt.Sprintf("%q is not host:port", z.Address), "ZOOKEEPER_HOST or --zookeeper is not one address, so ZooKeeper is not checked",
			"set ZOOKEEPER_HOST to an address such as localhost:2181, or unset it")
	}
	if !z.Needed {
		return one("zookeeper", GroupZooKeeper, Skipped, fmt.Sprintf("%s: %s; the embedded broker and KRaft need no ZooKeeper", z.Address, z.Problem), "", "")
	}
	return one("zookeeper-down", GroupZooKeeper, Problem, fmt.Sprintf("%s: %s", z.Address, z.Problem), "without ZooKeeper, Kafka serves for a while but cannot change topics or leaders",
		"smartlb kafka start; smartlb kafka logs zookeeper says why it is down. ZOOKEEPER_HOST sets its address")
}

// hostPort reports whether an address has a host and a port from 1 to 65535.
func hostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, errPort := strconv.ParseUint(port, 10, 16)
	return err == nil && errPort == nil && n > 0 && host != ""
}

// ui checks that the web UI answers.
func ui(f Facts) []Check {
	w := f.UI
	if w == nil {
		return nil
	}
	switch {
	case w.Ours && w.Status == 200:
		return one("kafka-ui", GroupUI, OK, fmt.Sprintf("http://%s answers", w.Address), "", "")
	case w.Problem != "" && !w.Needed:
		return one("kafka-ui", GroupUI, Skipped, fmt.Sprintf("%s: %s", w.Address, w.Problem), "", "")
	case w.Problem != "":
		return one("kafka-ui-down", GroupUI, Problem, fmt.Sprintf("%s: %s", w.Address, w.Problem), "the web UI was started here and does not answer", "smartlb kafka start; smartlb kafka logs kafka-ui")
	case !w.Ours:
		s := Warning
		if w.Needed {
			s = Problem
		}
		return one("kafka-ui-foreign", GroupUI, s, fmt.Sprintf("http://%s answers with %d, and is not the smartlb UI", w.Address, w.Status), "another program has this port",
			"stop that program, or give the UI another address with --console")
	}
	return one("kafka-ui-down", GroupUI, Problem, fmt.Sprintf("http://%s answers with %d", w.Address, w.Status), "the web UI is unhealthy", "smartlb kafka logs kafka-ui")
}

// connectWorker checks that the worker answers, uses the right Kafka, and that its tasks run.
func connectWorker(f Facts) []Check {
	c := f.Connect
	if c == nil {
		return nil
	}
	if c.Problem != "" {
		if !c.Needed {
			return one("connect", GroupConnect, Skipped, fmt.Sprintf("%s: %s", c.Address, c.Problem), "", "")
		}
		return one("connect-down", GroupConnect, Warning, fmt.Sprintf("%s: %s", c.Address, c.Problem), "the worker was started here and does not answer",
			"smartlb kafka start; smartlb kafka logs connect names the reason, often its topics or a wrong plugin.path")
	}
	var bad []Check
	if c.Cluster != "" && f.Cluster.ID != "" && c.Cluster != f.Cluster.ID {
		bad = append(bad, Check{"connect-other-cluster", GroupConnect, Warning, fmt.Sprintf("the worker at %s works with cluster %s, not %s", c.Address, c.Cluster, f.Cluster.ID),
			"its bootstrap.servers names another Kafka", "set bootstrap.servers of the worker, or ask the worker that belongs to this Kafka"})
	}
	if len(c.Failed) > 0 {
		bad = append(bad, Check{"connect-failed", GroupConnect, Warning, "failed: " + strings.Join(c.Failed, ", "),
			"a connector or task failed; Connect does not restart it", "smartlb kafka connect describe NAME shows the error, smartlb kafka connect restart NAME --failed starts it again"})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Waiting)) {
		topics := strings.Join(c.Waiting[name], ", ")
		bad = append(bad, Check{"connect-topic-missing", GroupConnect, Warning, fmt.Sprintf("connector %s is RUNNING, and its topic %s does not exist", name, topics),
			"no record moves, and Connect reports no error (or this user may not describe the topic)", "smartlb kafka topics create " + strings.Join(c.Waiting[name], " ") + ", or correct the name in the settings of the connector"})
	}
	bad = append(bad, connectTopics(f)...)
	if len(bad) > 0 {
		return bad
	}
	return one("connect", GroupConnect, OK, fmt.Sprintf("http://%s answers, version %s", c.Address, c.Version), "", "")
}

// connectTopics checks the topics in which a worker stores its state, under the names that our stack uses.
func connectTopics(f Facts) (bad []Check) {
	for _, t := range f.Topics {
		if !slices.Contains(ConnectTopics(), t.Name) {
			continue
		}
		if t.Name == "connect-configs" && t.Partitions != 1 {
			bad = append(bad, Check{"connect-topics", GroupConnect, Warning, fmt.Sprintf("%s has %d partitions", t.Name, t.Partitions),
				"workers need the configurations in order, which only a single partition keeps", "stop the workers, delete the topic, start them again: they create it correctly; then apply the connectors again"})
		}
		if policy := t.Configs["cleanup.policy"]; policy != "compact" {
			bad = append(bad, Check{"connect-topics", GroupConnect, Warning, fmt.Sprintf("%s has cleanup.policy=%s", t.Name, orDefault(policy)),
				"it was created automatically: connectors and offsets are lost when records expire", "smartlb kafka configs set " + t.Name + " cleanup.policy=compact"})
		}
	}
	return bad
}

// ConnectTopics lists the topics of a worker of our stack.
func ConnectTopics() []string {
	return []string{"connect-configs", "connect-offsets", "connect-status"}
}

// disks checks the free space.
func disks(f Facts) []Check {
	var all []Check
	for _, d := range f.Disks {
		if d.Total == 0 {
			continue
		}
		share := float64(d.Free) / float64(d.Total)
		found := fmt.Sprintf("%s has %s free of %s", d.Path, size(d.Free), size(d.Total))
		c := Check{"disk", GroupDisk, OK, found, "", ""}
		switch {
		case d.Free < diskReserve || share < diskProblem:
			c = Check{"disk-full", GroupDisk, Problem, found, "the disk of the local stack is nearly full: brokers refuse records, or end",
				"free disk space, move the state folder (SMARTLB_STATE_DIR), or keep records for a shorter time"}
		case share < diskWarning:
			c = Check{"disk-low", GroupDisk, Warning, found, "the disk of the local stack fills up", "free disk space, or keep records for a shorter time"}
		}
		all = append(all, c)
	}
	return all
}

func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.4g %s", v, units[i])
}

// state checks that the state folder of the local stack is usable, and that its pid files are current.
func state(f Facts) []Check {
	s := f.State
	switch {
	case s.Dir == "":
		return nil
	case s.Problem != "":
		return one("state-folder", GroupState, Problem, fmt.Sprintf("%s: %s", s.Dir, s.Problem), "the local stack keeps pids, logs and data there", "make it writable, or name another with SMARTLB_STATE_DIR")
	case len(s.Stale) > 0:
		return one("stale-pid", GroupState, Warning, "processes that are gone without a stop: "+strings.Join(s.Stale, ", "), "they were killed or crashed, or the machine was started anew",
			"smartlb kafka start starts them again; smartlb kafka logs SERVICE shows their last words")
	}
	return one("state", GroupState, OK, s.Dir+" can be written", "", "")
}

// java checks whether the real Kafka could run here.
func java(f Facts) []Check {
	j := f.Java
	switch {
	case j == nil:
		return nil
	case j.Problem != "":
		return one("java-missing", GroupJava, Warning, "no Java: "+j.Problem, "ZooKeeper, Apache Kafka and Connect need one; the embedded broker does not",
			fmt.Sprintf("install a Java runtime of version %d or newer, or set JAVA_HOME", oldestJava))
	case j.Feature < oldestJava:
		return one("java-old", GroupJava, Warning, "Java "+j.Version, fmt.Sprintf("Kafka 4 needs Java %d", oldestJava), fmt.Sprintf("install %d or newer, or point JAVA_HOME to one", oldestJava))
	}
	return one("java", GroupJava, OK, "Java "+j.Version, "", "")
}
