package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/broker"
	"github.com/smartlb/smartlb/internal/stack/doctor"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func catalog(t *testing.T) topic.Catalog {
	t.Helper()
	c, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// question asks about a cluster and nothing else.
func question(t *testing.T, address string) doctor.Question {
	t.Helper()
	cfg := kafka.Default()
	cfg.Brokers, cfg.DialTimeout, cfg.RequestTimeout = []string{address}, 10*time.Second, 10*time.Second
	return doctor.Question{Kafka: cfg, Origin: "--brokers", Catalog: catalog(t), Timeout: 30 * time.Second}
}

func examine(t *testing.T, q doctor.Question) doctor.Report {
	t.Helper()
	return doctor.Examine(doctor.Gather(t.Context(), q))
}

// find gives the check with an id.
func find(r doctor.Report, id string) (doctor.Check, bool) {
	for _, c := range r.Checks {
		if c.ID == id {
			return c, true
		}
	}
	return doctor.Check{}, false
}

// want fails unless a report names a trouble, with words in its cause or
// finding and a fix.
func want(t *testing.T, r doctor.Report, id string, s doctor.Status, words ...string) {
	t.Helper()
	c, ok := find(r, id)
	if !ok {
		t.Fatalf("%s is not found; the report is %+v", id, r.Checks)
	}
	if c.Status != s || c.Cause == "" || c.Fix == "" {
		t.Errorf("%+v: want %s with cause and fix", c, s)
	}
	for _, w := range words {
		if !strings.Contains(c.Found+" "+c.Cause+" "+c.Fix, w) {
			t.Errorf("%+v does not name %s", c, w)
		}
	}
	if r.Healthy && s == doctor.Problem {
		t.Errorf("healthy is %v with %s being a %s", r.Healthy, id, s)
	}
}

// embedded starts the broker of this program.
func embedded(t *testing.T, advertise string) string {
	t.Helper()
	cfg := broker.Default()
	cfg.Dir, cfg.External, cfg.Internal, cfg.AdvertisedExternal = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", advertise
	// The second listener advertises itself: what is wrong with the first one is
	// seen by clients of the first one only.
	b, err := broker.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-b.Ready():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return b.Bound()
}

// prepared is a cluster with the topics of the catalog.
func prepared(t *testing.T) *kafkatest.Cluster {
	t.Helper()
	c := kafkatest.New(t)
	q := question(t, c.Addr())
	client, err := kafka.NewAdmin(q.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := admin.EnsureTopics(t.Context(), client, q.Catalog); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAWellSetupIsHealthy(t *testing.T) {
	c := prepared(t)
	r := examine(t, question(t, c.Addr()))
	for _, check := range r.Checks {
		if check.Status != doctor.OK {
			t.Errorf("%+v", check)
		}
	}
	if !r.Healthy || len(r.Checks) < 4 {
		t.Errorf("%+v", r)
	}
}

// noName is no name in any network: its first label is too long for the DNS
// (RFC 1035 §2.3.4), so that no resolver is asked, which might not be there.
const noName = "a-label-of-more-than-sixty-three-letters-is-not-allowed-in-a-name.invalid"

func TestUnreachableClustersAreExplained(t *testing.T) {
	ca, stranger := kafkatest.NewAuthority(t), kafkatest.NewAuthority(t)
	users := [][3]string{{"SCRAM-SHA-512", "ann", "right"}}
	later := time.Now().Add(time.Hour)
	open := kafkatest.New(t).Addr()
	encrypted := kafkatest.NewSecure(t, ca.Server("broker", later, false), nil)
	mutual := kafkatest.NewSecure(t, ca.Server("broker", later, true), nil)
	expired := kafkatest.NewSecure(t, ca.Server("broker", time.Now().Add(-time.Hour), false), nil)
	login := kafkatest.NewSecure(t, nil, users)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	trust := kafka.TLS{CA: ca.File}
	for _, row := range []struct {
		id, address string
		s           kafka.Security
		words       string
	}{
		{"kafka-connection-refused", porttest.Refused(t), kafka.Security{}, "smartlb kafka start"},
		{"kafka-name-not-resolved", noName + ":9092", kafka.Security{}, noName},
		{"kafka-not-kafka", web.Listener.Addr().String(), kafka.Security{}, "web server"},
		{"kafka-not-kafka", zooKeeper(t, "Zookeeper version: 3.8.4\nMode: standalone\n"), kafka.Security{}, "ZooKeeper answers"},
		{"kafka-listener-with-tls", encrypted, kafka.Security{}, "--tls"},
		{"kafka-listener-without-tls", open, kafka.Security{TLS: trust}, "TLS"},
		{"kafka-certificate-unknown-authority", encrypted, kafka.Security{TLS: kafka.TLS{CA: stranger.File}}, "--tls-ca"},
		{"kafka-certificate-other-name", encrypted, kafka.Security{TLS: kafka.TLS{CA: ca.File, ServerName: "other"}}, "--tls-server-name"},
		{"kafka-certificate-expired", expired, kafka.Security{TLS: trust}, "renew"},
		{"kafka-client-certificate-refused", mutual, kafka.Security{TLS: trust}, "--tls-cert"},
		{"kafka-login-refused", login, kafka.Security{SASL: kafka.SASL{Mechanism: "SCRAM-SHA-512", User: "ann", Password: "${env:PW}"}}, "password"},
		{"kafka-listener-with-sasl", login, kafka.Security{}, "--sasl"},
		{"kafka-file-missing", encrypted, kafka.Security{TLS: kafka.TLS{CA: "/nowhere/ca.pem"}}, "file"},
	} {
		t.Run(row.id, func(t *testing.T) {
			q := question(t, row.address)
			q.Kafka.Security, q.Kafka.Getenv = row.s, func(string) string { return "wrong" }
			if row.id == "kafka-listener-without-tls" || row.id == "kafka-not-kafka" {
				q.Kafka.DialTimeout = time.Second // who listens there waits as we do
			}
			want(t, examine(t, q), row.id, doctor.Problem, row.words, row.address)
		})
	}
}

func TestADeadKafkaBrokerVariableIsNamed(t *testing.T) {
	q := question(t, porttest.Refused(t))
	q.Origin, q.KafkaBroker = "KAFKA_BROKER", q.Kafka.Brokers[0]
	want(t, examine(t, q), "kafka-broker-variable-dead", doctor.Problem, "unset KAFKA_BROKER", q.KafkaBroker)
}

func TestAdvertisedAddressesThatLeadNowhereAreNamed(t *testing.T) {
	other := embedded(t, "")
	for _, row := range []struct{ id, advertise string }{
		{"advertised-unresolved", noName + ":9092"},
		{"advertised-unreachable", porttest.Refused(t)},
		{"advertised-other-cluster", other},
	} {
		t.Run(row.id, func(t *testing.T) {
			want(t, examine(t, question(t, embedded(t, row.advertise))), row.id, doctor.Problem, row.advertise, "advertised.listeners")
		})
	}
}

func TestTopicsThatAreNotAsTheCatalogSaysAreNamed(t *testing.T) {
	c := kafkatest.New(t, "service-metrics:2", "health-status:3", "alerts:1")
	r := examine(t, question(t, c.Addr()))
	want(t, r, "topic-missing", doctor.Warning, "config-updates", "kafka apply")
	want(t, r, "topic-partitions", doctor.Warning, "service-metrics has 2 partitions", "3")
	want(t, r, "topic-drift", doctor.Warning, "retention.ms")
	want(t, r, "topic-message-size", doctor.Warning, "health-status")
}

func TestABrokerThatTakesTooSmallMessagesIsNamed(t *testing.T) {
	addr := kafkatest.NewSecure(t, nil, nil, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "1048588"}))
	want(t, examine(t, question(t, addr)), "message-max-bytes", doctor.Warning, "1048588", "11534336")
}

// metadata changes what a cluster says about itself.
func metadata(t *testing.T, c *kafkatest.Cluster, change func(*kmsg.MetadataResponse)) {
	t.Helper()
	host, port, _ := net.SplitHostPort(c.Addr())
	var number int32
	fmt.Sscan(port, &number)
	c.Fake().ControlKey(3, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		b.Host, b.Port = host, number
		resp.Brokers = append(resp.Brokers, b)
		id := "cluster"
		resp.ClusterID, resp.ControllerID = &id, 0
		name := "service-metrics"
		top := kmsg.NewMetadataResponseTopic()
		top.Topic = &name
		part := kmsg.NewMetadataResponseTopicPartition()
		part.Replicas, part.ISR = []int32{0}, []int32{0}
		top.Partitions = append(top.Partitions, part)
		resp.Topics = append(resp.Topics, top)
		change(resp)
		return resp, nil, true
	})
}

func TestPartitionsWithoutLeaderOrReplicasAreNamed(t *testing.T) {
	for _, row := range []struct {
		id     string
		status doctor.Status
		change func(*kmsg.MetadataResponse)
	}{
		{"leaderless", doctor.Problem, func(r *kmsg.MetadataResponse) {
			r.Topics[0].Partitions[0].Leader, r.Topics[0].Partitions[0].ErrorCode = -1, 5
		}},
		{"under-replicated", doctor.Warning, func(r *kmsg.MetadataResponse) { r.Topics[0].Partitions[0].Replicas = []int32{0, 1, 2} }},
		{"controller-missing", doctor.Problem, func(r *kmsg.MetadataResponse) { r.ControllerID = -1 }},
	} {
		t.Run(row.id, func(t *testing.T) {
			t.Parallel() // the library waits for the leader that is not there
			c := kafkatest.New(t, "service-metrics:1")
			metadata(t, c, row.change)
			want(t, examine(t, question(t, c.Addr())), row.id, row.status)
		})
	}
}

func TestBrokersThatAreBehindAreNamed(t *testing.T) {
	c := kafkatest.New(t, "service-metrics:1")
	metadata(t, c, func(r *kmsg.MetadataResponse) { // broker 0 is there
		p := &r.Topics[0].Partitions[0]
		p.Leader, p.Replicas, p.ISR = 0, []int32{0, 7}, []int32{0}
		other := *p
		other.Partition, other.Leader, other.ISR = 1, 7, []int32{7}
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, other)
	})
	want(t, examine(t, question(t, c.Addr())), "under-replicated", doctor.Warning,
		"not in the cluster: broker 7 (1)", "behind, because it has just started or cannot keep up: broker 0 (1)")
}

func TestRecordsFromTheFutureAreNamed(t *testing.T) {
	c := prepared(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	now := time.Now()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "alerts", Value: []byte("{}"), Timestamp: now.Add(10 * time.Minute)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	q := question(t, c.Addr())
	q.Now = func() time.Time { return now }
	want(t, examine(t, q), "clock-skew", doctor.Warning, "10m0s ahead", "alerts", "chrony")
}

func TestWhatACLsForbidIsNamed(t *testing.T) {
	read := kfake.ACL{
		Resource: kmsg.ACLResourceTypeTopic, Name: "service-metrics", Pattern: kmsg.ACLResourcePatternTypeLiteral,
		Operation: kmsg.ACLOperationDescribe, Allow: true,
	}
	addr := kafkatest.NewSecure(t, nil, [][3]string{{"PLAIN", "root", "pw"}}, kfake.EnableACLs(), kfake.SeedTopics(3, "service-metrics"), kfake.User("PLAIN", "ann", "pw", read))
	q := question(t, addr)
	q.Kafka.Security = kafka.Security{SASL: kafka.SASL{Mechanism: "PLAIN", User: "ann", Password: "${env:PW}"}}
	q.Kafka.Getenv = func(string) string { return "pw" }
	want(t, examine(t, q), "acl-denied", doctor.Warning, "ann", "configurations", "acls.yaml")
}

// zooKeeper answers four-letter words with one text.
func zooKeeper(t *testing.T, answer string) string {
	t.Helper()
	return porttest.Serve(t, func(c net.Conn) {
		word := make([]byte, 4)
		if _, err := io.ReadFull(c, word); err == nil && string(word) == "srvr" {
			_, _ = io.WriteString(c, answer)
		}
	})
}

// stateWith makes a state folder in which services were started that are gone.
func stateWith(t *testing.T, services ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, s := range services {
		if err := os.WriteFile(filepath.Join(dir, s+".pid"), []byte(`{"pid":4194000,"born":"never"}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestZooKeeperIsKnownByItsMode(t *testing.T) {
	q := question(t, porttest.Refused(t))
	for _, row := range []struct {
		name, answer string
		needed       bool
		id           string
		status       doctor.Status
		found        string
	}{
		{"standalone", "Zookeeper version: 3.8.4\nLatency min/avg/max: 0/0.0/0\nMode: standalone\nNode count: 5\n", true, "zookeeper", doctor.OK, "mode standalone"},
		{"without a majority", "This ZooKeeper instance is not currently serving requests\n", true, "zookeeper-down", doctor.Problem, "no majority"},
		{"somebody else", "", true, "zookeeper-down", doctor.Problem, "not ZooKeeper"},
		{"not needed", "", false, "zookeeper", doctor.Skipped, "need no ZooKeeper"},
	} {
		t.Run(row.name, func(t *testing.T) {
			q.ZooKeeper, q.StateDir = zooKeeper(t, row.answer), ""
			if row.needed {
				q.StateDir = stateWith(t, "zookeeper")
			}
			c, ok := find(examine(t, q), row.id)
			if !ok || c.Status != row.status || !strings.Contains(c.Found, row.found) {
				t.Errorf("%+v, want %s %s", c, row.status, row.found)
			}
		})
	}
	q.ZooKeeper, q.StateDir = porttest.Refused(t), stateWith(t, "zookeeper")
	want(t, examine(t, q), "zookeeper-down", doctor.Problem, "nothing listens", "ZOOKEEPER_HOST")
	for _, wrong := range []string{"nonsense", "localhost", "127.0.0.1:99999", "http://localhost:2181", ":2181"} { // was skipped: "KRaft needs none"
		q.ZooKeeper, q.StateDir = wrong, ""
		want(t, examine(t, q), "zookeeper-address", doctor.Problem, wrong, "ZOOKEEPER_HOST")
	}
}

func TestTheUIIsOursOrSomebodyElses(t *testing.T) {
	page := "<title>smartlb</title>"
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) }))
	defer web.Close()
	q := question(t, porttest.Refused(t))
	q.UI = web.Listener.Addr().String()
	if c, ok := find(examine(t, q), "kafka-ui"); !ok || c.Status != doctor.OK {
		t.Errorf("ours is %+v", c)
	}
	page = "<title>Grafana</title>"
	q.StateDir = stateWith(t, "kafka-ui")
	want(t, examine(t, q), "kafka-ui-foreign", doctor.Problem, "another program", "--console")
	q.UI = porttest.Refused(t)
	want(t, examine(t, q), "kafka-ui-down", doctor.Problem, "nothing listens")
}

func TestConnectAndItsTasksAreLookedAt(t *testing.T) {
	cluster := prepared(t)
	facts := doctor.Gather(t.Context(), question(t, cluster.Addr()))
	worker := map[string]string{"version": "3.9.2", "kafka_cluster_id": facts.Cluster.ID}
	task := "RUNNING"
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			json.NewEncoder(w).Encode(worker)
			return
		}
		fmt.Fprintf(w, `{"files":{"status":{"connector":{"state":"RUNNING"},"tasks":[{"id":0,"state":"%s"}]}}}`, task)
	}))
	defer web.Close()
	q := question(t, cluster.Addr())
	q.Connect = web.Listener.Addr().String()
	if c, ok := find(examine(t, q), "connect"); !ok || c.Status != doctor.OK || !strings.Contains(c.Found, "3.9.2") {
		t.Errorf("a worker that is well is %+v", c)
	}
	task = "FAILED"
	want(t, examine(t, q), "connect-failed", doctor.Warning, "files/0", "restart")
	worker["kafka_cluster_id"] = "another"
	want(t, examine(t, q), "connect-other-cluster", doctor.Warning, "another", "bootstrap.servers")
	q.Connect, q.StateDir = porttest.Refused(t), stateWith(t, "connect")
	want(t, examine(t, q), "connect-down", doctor.Warning, "nothing listens")
}

// A source connector whose topic does not exist is RUNNING and silent.
func TestConnectorsThatWaitForATopicAreNamed(t *testing.T) {
	cluster := kafkatest.New(t, "there:1")
	id := doctor.Gather(t.Context(), question(t, cluster.Addr())).Cluster.ID
	name := "new"
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			fmt.Fprintf(w, `{"version":"3.9.2","kafka_cluster_id":%q}`, id)
			return
		}
		fmt.Fprintf(w, `{"lines":{"status":{"type":"source","connector":{"state":"RUNNING"},"tasks":[]},"info":{"config":{"topic":%q}}}}`, name)
	}))
	defer web.Close()
	q := question(t, cluster.Addr())
	q.Connect = web.Listener.Addr().String()
	want(t, examine(t, q), "connect-topic-missing", doctor.Warning, "lines is RUNNING, and its topic new does not exist", "topics create new")
	name = "there"
	if c, found := find(examine(t, q), "connect-topic-missing"); found {
		t.Errorf("a topic that exists: %+v", c)
	}
	name, id = "new", "another cluster"
	if c, found := find(examine(t, q), "connect-topic-missing"); found {
		t.Errorf("a worker of another cluster: %+v", c)
	}
}

func TestWrongTopicsOfConnectAreNamed(t *testing.T) {
	c := kafkatest.New(t, "connect-configs:3")
	q := question(t, c.Addr())
	q.Connect = httptestWorker(t)
	r := examine(t, q)
	want(t, r, "connect-topics", doctor.Warning, "connect-configs has 3 partitions")
	n := 0
	for _, check := range r.Checks {
		if check.ID == "connect-topics" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d findings, want the partitions and the cleanup policy", n)
	}
}

func httptestWorker(t *testing.T) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			io.WriteString(w, `{"version":"4.3.1"}`)
			return
		}
		io.WriteString(w, `{}`)
	}))
	t.Cleanup(web.Close)
	return web.Listener.Addr().String()
}

func TestTheStateFolderIsLookedAt(t *testing.T) {
	q := question(t, porttest.Refused(t))
	q.StateDir = stateWith(t, "kafka")
	want(t, examine(t, q), "stale-pid", doctor.Warning, "kafka", "smartlb kafka start")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	q.StateDir = filepath.Join(file, "state")
	want(t, examine(t, q), "state-folder", doctor.Problem, file, "SMARTLB_STATE_DIR")
	q.StateDir = t.TempDir()
	r := examine(t, q)
	for _, id := range []string{"state", "disk"} {
		if c, ok := find(r, id); id == "state" && (!ok || c.Status != doctor.OK) {
			t.Errorf("%s is %+v", id, c)
		}
	}
	if left, _ := os.ReadDir(q.StateDir); len(left) > 0 {
		t.Errorf("the look leaves %v behind", left)
	}
}

func TestAFullDiskAndAMissingJavaAreNamed(t *testing.T) {
	f := doctor.Facts{Unreachable: &doctor.Failure{}, Disks: []doctor.Disk{{Path: "/state", Free: 1 << 30, Total: 100 << 30}}}
	want(t, doctor.Examine(f), "disk-full", doctor.Problem, "/state", "1 GiB")
	f.Disks[0].Free = 10 << 30
	if c, _ := find(doctor.Examine(f), "disk-low"); c.Status != doctor.Warning {
		t.Errorf("a tenth free is %+v", c)
	}
	q := question(t, porttest.Refused(t))
	q.Java = func(context.Context) (string, error) { return "", errors.New("there is no java on the PATH") }
	if c, _ := find(examine(t, q), "java-missing"); c.Status != doctor.Warning || !strings.Contains(c.Fix, "17") {
		t.Errorf("no Java is %+v", c)
	}
	q.Java = func(context.Context) (string, error) { return "1.8.0_412", nil }
	if c, _ := find(examine(t, q), "java-old"); c.Status != doctor.Warning {
		t.Errorf("an old Java is %+v", c)
	}
	q.Java = func(context.Context) (string, error) { return "17.0.15", nil }
	if c, _ := find(examine(t, q), "java"); c.Status != doctor.OK {
		t.Errorf("Java 17 is %+v", c)
	}
}

// A report can be sent as it is: no list is null.
func TestReportsAndFactsHaveNoNulls(t *testing.T) {
	facts := doctor.Gather(t.Context(), question(t, porttest.Refused(t)))
	for _, v := range []any{facts, doctor.Examine(facts)} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "null") {
			t.Errorf("%s", raw)
		}
	}
}
