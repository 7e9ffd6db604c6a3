package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// right is one line of deployment/kafka/acls.yaml.
type right struct {
	Topic      string   `yaml:"topic"`
	Group      string   `yaml:"group"`
	Cluster    string   `yaml:"cluster"`
	Operations []string `yaml:"operations"`
}

func (r right) resource() (kmsg.ACLResourceType, string) {
	switch {
	case r.Topic != "":
		return kmsg.ACLResourceTypeTopic, r.Topic
	case r.Group != "":
		return kmsg.ACLResourceTypeGroup, r.Group
	}
	return kmsg.ACLResourceTypeCluster, r.Cluster
}

type principal struct {
	Name  string  `yaml:"name"`
	Role  string  `yaml:"role"`
	Allow []right `yaml:"allow"`
}

// may reports whether the table allows an operation on a topic.
func (p principal) may(operation, topic string) bool {
	return slices.ContainsFunc(p.Allow, func(r right) bool {
		return (r.Topic == topic || r.Topic == "*") && slices.Contains(r.Operations, operation)
	})
}

func (p principal) mayGroup(operation, group string) bool {
	return slices.ContainsFunc(p.Allow, func(r right) bool {
		return (r.Group == group || r.Group == "*") && slices.Contains(r.Operations, operation)
	})
}

func rights(t *testing.T) []principal {
	t.Helper()
	var file struct {
		Principals []principal `yaml:"principals"`
	}
	if err := yaml.NewDecoder(strings.NewReader(string(deployment.ACLs)), yaml.Strict()).Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Principals
}

// secured is a real Kafka 4.3 with TLS, SCRAM, OAUTHBEARER and ACLs.
type secured struct {
	t     *testing.T
	ca    *kafkatest.Authority
	addr  string // SASL over TLS
	mtls  string // mutual TLS
	log   string
	admin kafka.Config
}

const adminPassword, rolePassword = "admin-secret", "role-secret"

// jarsOf gives the jars of a mode's Kafka, in the order that archives of class
// data want.
func jarsOf(t *testing.T, mode string) []string {
	t.Helper()
	dist := distributions(t)
	installing.Lock()
	defer installing.Unlock()
	install := exec.Command(binary, "kafka", "install", "--mode", mode)
	install.Env = append(cleanEnv(t), "SMARTLB_KAFKA_DIR="+dist)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	version := map[string]string{"zookeeper": "3.*", "kraft": "4.*"}[mode]
	jars, err := filepath.Glob(filepath.Join(dist, version, "libs", "*.jar"))
	if err != nil || len(jars) == 0 {
		t.Fatalf("no jars of %s below %s: %v", version, dist, err)
	}
	slices.Sort(jars)
	return jars
}

// newSecured starts it as kafka.Kafka starts, without the stack: what the stack
// does not do is what is tested.
func newSecured(t *testing.T) *secured {
	t.Helper()
	classpath := strings.Join(jarsOf(t, "kraft"), ":")
	dir := t.TempDir()
	base := porttest.Block(t, 0, 1, 2, 3)
	s := &secured{
		t: t, ca: kafkatest.NewAuthority(t), log: filepath.Join(dir, "kafka.log"),
		addr: fmt.Sprintf("127.0.0.1:%d", base+1), mtls: fmt.Sprintf("127.0.0.1:%d", base+2),
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := s.ca.Issue("broker", time.Now().Add(time.Hour))
	var chain strings.Builder
	for _, file := range []string{key, cert, s.ca.File} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		chain.Write(b)
	}
	keystore := write("broker.pem", chain.String())
	properties := write("server.properties", fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[4]d
controller.listener.names=CONTROLLER
listeners=INTERNAL://127.0.0.1:%[1]d,SECURED://127.0.0.1:%[2]d,MUTUAL://127.0.0.1:%[3]d,CONTROLLER://127.0.0.1:%[4]d
listener.security.protocol.map=INTERNAL:PLAINTEXT,SECURED:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs=%[5]s
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=11534336
log.cleaner.dedupe.buffer.size=16777216
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
listener.name.secured.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="nobody";
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain-secret";
ssl.keystore.type=PEM
ssl.keystore.location=%[6]s
ssl.truststore.type=PEM
ssl.truststore.location=%[7]s
listener.name.mutual.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
allow.everyone.if.no.acl.found=false
`, base, base+1, base+2, base+3, filepath.Join(dir, "data"), keystore, s.ca.File))
	logging := write("log4j2.yaml", `Configuration:
  Appenders:
    Console: {name: out, PatternLayout: {pattern: "%d %p %c %m%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: out}}
    Logger: [{name: kafka.authorizer.logger, level: INFO}]
`)
	flags := []string{"-Xmx256m", "-Xms64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=file:" + logging, "-cp", classpath}
	format := exec.Command("java", append(slices.Clone(flags), "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", properties,
		"--add-scram", "SCRAM-SHA-512=[name=admin,password="+adminPassword+"]")...)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format: %v\n%s", err, out)
	}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("java", append(slices.Clone(flags), "kafka.Kafka", properties)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("denied:\n%s", strings.Join(s.deniedLines()[:min(20, len(s.deniedLines()))], "\n"))
		}
	})
	s.admin = s.as("admin", adminPassword)
	eventually(t, "the secured Kafka answers", func() bool { return kafka.CheckConnection(context.Background(), s.admin) == nil })
	return s
}

// as makes client settings for a user.
func (s *secured) as(user, password string) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout, cfg.DialTimeout = []string{s.addr}, time.Minute, 30*time.Second
	cfg.Getenv = func(string) string { return password }
	cfg.Security = kafka.Security{TLS: kafka.TLS{CA: s.ca.File}, SASL: kafka.SASL{Mechanism: "SCRAM-SHA-512", User: user, Password: secret.Ref("${env:PASSWORD}")}}
	return cfg
}

// deniedLines are the authorizer's words about what it denied.
func (s *secured) deniedLines() []string {
	b, _ := os.ReadFile(s.log)
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if _, what, ok := strings.Cut(line, "Principal = "); ok && strings.Contains(what, "Denied") {
			what, _, _ = strings.Cut(what, " for request")
			seen[what] = true
		}
	}
	var all []string
	for l := range seen {
		all = append(all, l)
	}
	slices.Sort(all)
	return all
}

// admins gives kadm for settings.
func admins(t *testing.T, cfg kafka.Config) *kadm.Client {
	t.Helper()
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return kadm.NewClient(a.Client())
}

// grant makes the users and rights of the table.
func (s *secured) grant(table []principal) {
	s.t.Helper()
	adm := admins(s.t, s.admin)
	ctx, cancel := context.WithTimeout(s.t.Context(), maxWait)
	defer cancel()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, p := range table {
		for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
			made, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: p.Name, Mechanism: m, Iterations: 4096, Password: rolePassword}})
			if err == nil {
				err = made.Error()
			}
			if err != nil {
				s.t.Fatalf("user %s: %v", p.Name, err)
			}
		}
		for _, r := range p.Allow {
			kind, name := r.resource()
			for _, o := range r.Operations {
				op, err := kmsg.ParseACLOperation(o)
				if err != nil {
					s.t.Fatalf("%s: %v", p.Name, err)
				}
				c := kmsg.NewCreateACLsRequestCreation()
				c.ResourceType, c.ResourceName, c.ResourcePatternType = kind, name, kmsg.ACLResourcePatternTypeLiteral
				c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+p.Name, "*", op, kmsg.ACLPermissionTypeAllow
				req.Creations = append(req.Creations, c)
			}
		}
	}
	a, err := kafka.NewAdmin(s.admin)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Close()
	resp, err := req.RequestWith(ctx, a.Client())
	if err != nil {
		s.t.Fatal(err)
	}
	for i, r := range resp.Results {
		if r.ErrorCode != 0 {
			s.t.Fatalf("%+v: %v", req.Creations[i], kerr.ErrorForCode(r.ErrorCode))
		}
	}
}

// settings writes a node's file that logs in as a principal.
func (s *secured) settings(p, rest string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), p+".yaml")
	text := fmt.Sprintf("kafka:\n  brokers: [%q]\n  tls: {ca: %q}\n  sasl: {mechanism: SCRAM-SHA-512, user: %s, password: '${env:ROLE_PASSWORD}'}\nadmin: {address: '127.0.0.1:0'}\nconsole: {address: '127.0.0.1:0'}\n%s", s.addr, s.ca.File, p, rest)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func TestRolesWorkOnASecuredKafkaWithTheLeastRights(t *testing.T) {
	s := newSecured(t)
	table := rights(t)
	s.grant(table)
	t.Setenv("ROLE_PASSWORD", rolePassword)
	operate := operatorOf(t, s)

	// Before the topics are there the operator makes them, by a profile.
	if out, words, code := operate("kafka", "apply"); code != 0 {
		t.Fatalf("apply as operator: %d\n%s%s", code, out, words)
	}
	if out, words, code := operate("kafka", "health", "-o", "json"); code != 0 || !strings.Contains(out, `"healthy": true`) {
		t.Errorf("health as operator: %d\n%s%s", code, out, words)
	}
	// Apache's own tools log in by the profile, too.
	if out, words, code := operate("kafka", "tool", "kafka-topics", "--list"); code != 0 || !strings.Contains(out, "service-metrics") {
		t.Errorf("kafka-topics as operator: %d\n%s%s", code, out, words)
	}
	// start and stop are not for somebody else's cluster; a wrong password is said soon.
	began := time.Now()
	if _, words, code := operate("kafka", "topics", "--profile", "wrong"); code != 1 || !strings.Contains(words, "refuses the login") {
		t.Errorf("a wrong password ends with %d: %s", code, words)
	}
	if took := time.Since(began); took > maxWait {
		t.Errorf("a wrong password is said after %v", took)
	}

	in := instances(t, 2)
	traffic := "listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: all, path: {prefix: /}, service: shop}]\nservices:\n  - id: shop\n    rateLimits: [{name: total, rate: 1000000/s, scope: fleet}]\n    instances:\n"
	for i, one := range in {
		traffic += fmt.Sprintf("      - {id: i%d, address: %q}\n", i+1, one.addr)
	}
	traffic += "proxy: {accessLogOptions: {kafka: true}}\n"
	proxy := start(t, true, "run", "--roles", "proxy", "--data", t.TempDir(), "--kafka", s.addr, "--config", s.settings("smartlb-proxy", traffic))
	start(t, true, "run", "--roles", "analyzer", "--data", t.TempDir(), "--kafka", s.addr, "--config", s.settings("smartlb-analyzer", ""))
	start(t, true, "run", "--roles", "collector", "--data", t.TempDir(), "--kafka", s.addr, "--config", s.settings("smartlb-collector", ""))
	console := start(t, true, "run", "--roles", "console", "--data", t.TempDir(), "--kafka", s.addr, "--config", s.settings("smartlb-console", ""))
	startLoad(t, "http://"+proxy.Address("web")+"/", 2)

	adm := admins(t, s.admin)
	grown := func(topic string) func() bool {
		return func() bool {
			end, err := adm.ListEndOffsets(t.Context(), topic)
			if err != nil {
				return false
			}
			var n int64
			end.Each(func(o kadm.ListedOffset) { n += o.Offset })
			return n > 0
		}
	}
	for _, name := range []string{topic.ServiceMetrics, topic.MetricsAggregated, topic.HealthScores, topic.RoutingDecisions, topic.ConfigUpdates, topic.AuditLogs, topic.NodeStatus, topic.RateLimits, topic.AccessLogs} {
		eventually(t, "records in "+name, grown(name))
	}
	eventually(t, "capacity from Kafka in the proxy's explanation", func() bool {
		var e map[string]any
		return getJSON(t, "http://"+proxy.Address("admin")+"/api/v1/instances/i1/explain", &e) == nil && strings.Contains(fmt.Sprint(e), "ageMs:")
	})
	eventually(t, "the proxy reads its claims of shared rate limits", func() bool { return metric(t, proxy.Address("admin"), "smartlb_rate_limit_shared") == 1 })
	var listed any
	if err := getJSON(t, "http://"+console.Address("console")+"/api/v1/topics", &listed); err != nil || !strings.Contains(fmt.Sprint(listed), topic.HealthScores) {
		t.Errorf("the console lists topics: %v, %v", listed, err)
	}
	if _, words, code := operate("config", "history"); code != 0 {
		t.Errorf("config history as operator: %d %s", code, words)
	}
	// Kafka took what a service reports, and nothing of the roles was denied.
	// Each role looks at the catalog when it starts, and does without what it may
	// not see; all else would be work that it cannot do.
	for _, line := range s.deniedLines() {
		if strings.Contains(line, "operation = DESCRIBE ") || strings.Contains(line, "operation = DESCRIBE_CONFIGS") {
			continue
		}
		t.Errorf("denied while the roles did their work: %s", line)
	}
	if _, err := http.Get("http://" + proxy.Address("web") + "/"); err != nil {
		t.Error(err)
	}
	t.Run("table", func(t *testing.T) { s.table(t, table) })
	t.Run("logins", func(t *testing.T) { s.logins(t) })
	t.Run("access logs refused", func(t *testing.T) { s.refuseAccessLogs(t, proxy.Address("admin")) })
}

// refuseAccessLogs takes access-logs from a proxy: no other topic loses a record.
func (s *secured) refuseAccessLogs(t *testing.T, admin string) {
	acl := kadm.NewACLs().Topics(topic.AccessLogs).Allow("User:smartlb-proxy").AllowHosts("*").Operations(kadm.OpWrite).ResourcePatternType(kadm.ACLPatternLiteral)
	if done, err := admins(t, s.admin).DeleteACLs(t.Context(), acl); err != nil || len(done) != 1 || len(done[0].Deleted) != 1 {
		t.Fatalf("%+v %v", done, err)
	}
	otherTopicsGoOn(t, admin)
}

// operatorOf gives a function that runs smartlb with the operator's profile.
func operatorOf(t *testing.T, s *secured) func(args ...string) (string, string, int) {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) (string, string, int) {
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, args...)
		for _, e := range cleanEnv(t) {
			if !strings.HasPrefix(e, "KAFKA_BROKER=") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		cmd.Env = append(cmd.Env, "SMARTLB_CONFIG_DIR="+dir, "ROLE_PASSWORD="+rolePassword, "WRONG=wrong", "SMARTLB_KAFKA_DIR="+distributions(t))
		return output(t, cmd)
	}
	for name, variable := range map[string]string{"operator": "ROLE_PASSWORD", "wrong": "WRONG"} {
		if _, words, code := run("profile", "add", name, "-b", s.addr, "--tls-ca", s.ca.File, "--sasl", "SCRAM-SHA-512", "--user", "smartlb-operator", "--password", "${env:"+variable+"}"); code != 0 {
			t.Fatalf("profile add: %s", words)
		}
	}
	if _, words, code := run("profile", "use", "operator"); code != 0 {
		t.Fatal(words)
	}
	return run
}

// table tries every operation of every principal on every topic.
func (s *secured) table(t *testing.T, table []principal) {
	catalog, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table {
		cfg := s.as(p.Name, rolePassword)
		a, err := kafka.NewAdmin(cfg)
		if err != nil {
			t.Fatal(err)
		}
		adm := kadm.NewClient(a.Client())
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		verdict := func(what string, err error, want bool, denied ...error) {
			t.Helper()
			refused := slices.ContainsFunc(denied, func(d error) bool { return errors.Is(err, d) })
			if refused == want || (err != nil && !refused) {
				t.Errorf("%s: %s gives %v, the table says %v", p.Name, what, err, map[bool]string{true: "allowed", false: "denied"}[want])
			}
		}
		for _, spec := range catalog {
			n := spec.Name
			verdict("write to "+n, s.write(ctx, a.Client(), n), p.may("Write", n), kerr.TopicAuthorizationFailed)
			verdict("read from "+n, s.read(ctx, a.Client(), n), p.may("Read", n), kerr.TopicAuthorizationFailed)
			value := "604800000"
			altered, err := adm.ValidateAlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, n)
			if err == nil {
				err = altered[0].Err
			}
			verdict("alter "+n, err, p.may("AlterConfigs", n), kerr.TopicAuthorizationFailed, kerr.UnknownTopicOrPartition)
			described, err := adm.DescribeTopicConfigs(ctx, n)
			if err == nil {
				err = described[0].Err
			}
			verdict("describe settings of "+n, err, p.may("DescribeConfigs", n), kerr.TopicAuthorizationFailed)
		}
		_, err = adm.ValidateCreateTopics(ctx, 1, 1, nil, "stranger")
		made, _ := adm.ValidateCreateTopics(ctx, 1, 1, nil, "stranger")
		if one, ok := made["stranger"]; ok {
			err = one.Err
		}
		verdict("create a topic", err, p.may("Create", "*"), kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed)
		gone, err := adm.DeleteTopics(ctx, "stranger")
		if one, ok := gone["stranger"]; ok && err == nil {
			err = one.Err
		}
		if p.may("Delete", "*") && errors.Is(err, kerr.UnknownTopicOrPartition) {
			err = nil // there is none, and it was allowed
		}
		verdict("delete a topic", err, p.may("Delete", "*"), kerr.TopicAuthorizationFailed, kerr.UnknownTopicOrPartition)
		_, err = adm.FetchOffsets(ctx, "smartlb-analyzer")
		verdict("read the analyzer's group", err, p.mayGroup("Read", "smartlb-analyzer"), kerr.GroupAuthorizationFailed)
		cancel()
		a.Close()
	}
}

// write tries to write a record.
func (s *secured) write(ctx context.Context, cl *kgo.Client, topic string) error {
	// An empty batch would do, but a transactionless record is what roles write;
	// the DLQ topics and others take any bytes.
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	req.Version = 9
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = []byte{} // Kafka looks at rights first
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return s.answer(ctx, cl, topic, func(broker *kgo.Broker) (int16, error) {
		resp, err := broker.Request(ctx, pinned{req, 9})
		if err != nil {
			return 0, err
		}
		return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode, nil
	})
}

// read tries to fetch.
func (s *secured) read(ctx context.Context, cl *kgo.Client, topic string) error {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MaxBytes, req.SessionEpoch = -1, 0, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 10
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return s.answer(ctx, cl, topic, func(broker *kgo.Broker) (int16, error) {
		resp, err := broker.Request(ctx, pinned{req, 12})
		if err != nil {
			return 0, err
		}
		return resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode, nil
	})
}

// pinned is a request that is sent in a version that names topics by name.
type pinned struct {
	kmsg.Request
	version int16
}

func (p pinned) MaxVersion() int16 { return p.version }

// answer gives the error of a request, but for those that only say that the
// request itself made no sense.
func (s *secured) answer(_ context.Context, cl *kgo.Client, _ string, ask func(*kgo.Broker) (int16, error)) error {
	code, err := ask(cl.Broker(1))
	if err != nil {
		return err
	}
	if e := kerr.ErrorForCode(code); errors.Is(e, kerr.TopicAuthorizationFailed) {
		return e
	}
	return nil
}

// logins tries the ways to be let in that the roles did not take.
func (s *secured) logins(t *testing.T) {
	cert, key := s.ca.Issue("mutual-client", time.Now().Add(time.Hour))
	for _, row := range []struct {
		name string
		cfg  func() kafka.Config
		want kafka.Cause
	}{
		{"SCRAM-SHA-256", func() kafka.Config {
			c := s.as("smartlb-proxy", rolePassword)
			c.Security.SASL.Mechanism = "SCRAM-SHA-256"
			return c
		}, ""},
		{"PLAIN over TLS", func() kafka.Config {
			c := s.as("plain", "plain-secret")
			c.Security.SASL.Mechanism = "PLAIN"
			return c
		}, ""},
		{"mutual TLS", func() kafka.Config {
			c := s.as("", "")
			c.Brokers, c.Security = []string{s.mtls}, kafka.Security{TLS: kafka.TLS{CA: s.ca.File, Cert: cert, Key: key}}
			return c
		}, ""},
		{"mutual TLS without a certificate", func() kafka.Config {
			c := s.as("", "")
			c.Brokers, c.Security = []string{s.mtls}, kafka.Security{TLS: kafka.TLS{CA: s.ca.File}}
			return c
		}, kafka.CauseWantsCert},
		{"a wrong password", func() kafka.Config { return s.as("smartlb-proxy", "wrong") }, kafka.CauseLogin},
		{"a user that is not there", func() kafka.Config { return s.as("nobody", "wrong") }, kafka.CauseLogin},
		{"OAUTHBEARER with client credentials", func() kafka.Config {
			c := s.as("", "the client's secret")
			c.Security.TLS.CA = s.ca.File
			c.Security.SASL = kafka.SASL{Mechanism: "OAUTHBEARER", TokenURL: s.issuer(t), ClientID: "smartlb-operator", ClientSecret: "${env:SECRET}"}
			return c
		}, ""},
		{"OAUTHBEARER with a token that is none", func() kafka.Config {
			c := s.as("", "")
			token := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(token, []byte("rubbish"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Security.SASL = kafka.SASL{Mechanism: "OAUTHBEARER", TokenFile: token}
			return c
		}, kafka.CauseLogin},
		{"a login where none is expected", func() kafka.Config {
			c := s.as("smartlb-proxy", rolePassword)
			c.Brokers = []string{s.mtls}
			c.Security.TLS.Cert, c.Security.TLS.Key = cert, key
			return c
		}, kafka.CauseMechanism},
		{"no TLS", func() kafka.Config {
			c := s.as("smartlb-proxy", rolePassword)
			c.Security.TLS = kafka.TLS{}
			return c
		}, kafka.CauseWantsTLS},
		{"no login", func() kafka.Config {
			c := s.as("", "")
			c.Security.SASL = kafka.SASL{}
			return c
		}, kafka.CauseWantsLogin},
	} {
		cfg := row.cfg()
		began := time.Now()
		err := kafka.CheckConnection(t.Context(), cfg)
		got, text := kafka.Cause(""), ""
		if err != nil {
			got, text = kafka.Explain(err, cfg)
		}
		if got != row.want {
			t.Errorf("%s: %v is explained as %q (%s), want %q", row.name, err, got, text, row.want)
		}
		if took := time.Since(began); took > maxWait {
			t.Errorf("%s: known after %v", row.name, took)
		}
	}
}

// issuer is a token endpoint that gives tokens as Kafka's own example of a
// validator takes them: unsigned.
func (s *secured) issuer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, key, _ := r.BasicAuth()
		if id != "smartlb-operator" || key != url.QueryEscape("the client's secret") {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		part := func(v map[string]any) string {
			b, _ := json.Marshal(v)
			return base64.RawURLEncoding.EncodeToString(b)
		}
		now := time.Now().Unix()
		token := part(map[string]any{"alg": "none"}) + "." + part(map[string]any{"sub": id, "iat": now, "exp": now + 3600}) + "."
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
	}))
	t.Cleanup(server.Close)
	return server.URL
}
