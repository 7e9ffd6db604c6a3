package properties

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAFileIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f File
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab =:#!\\\n\r\t\u00e9\u20ac\U0001f600${}")))
		for range rapid.IntRange(0, 5).Draw(t, "lines") {
			key := rapid.StringMatching(`[a-z4][a-z.\\ =:#!é]{0,10}`).Draw(t, "key")
			f = f.With(Property{key, text.Draw(t, "value")})
		}
		got, err := Parse(f.String())
		if err != nil {
			t.Fatalf("%v\n%s", err, f)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Fatalf("%s\n%s", f, diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a=b", "# comment\n\n a : b\\u20ac", "a\\", "a=\\u12", "=", "a=1\na=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Parse(text)
		if err != nil {
			return
		}
		second, err := Parse(first.String())
		if err != nil {
			t.Fatalf("%v\n%q", err, first)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTenMegabytesPassEveryPlaceThatHasALimit(t *testing.T) {
	const payload = 10 << 20
	broker := Broker{Mode: ModeKRaft, External: Listener{Listen: "127.0.0.1:1"}, Controller: Listener{Listen: "127.0.0.1:2"}}.File()
	connect := Connect{Brokers: "localhost:1", Listen: "127.0.0.1:3"}.File()
	for _, row := range []struct {
		file File
		keys []string
	}{
		{broker, []string{"message.max.bytes", "replica.fetch.max.bytes", "replica.fetch.response.max.bytes"}},
		{connect, []string{"producer.max.request.size", "producer.buffer.memory", "consumer.max.partition.fetch.bytes", "consumer.fetch.max.bytes"}},
	} {
		for _, key := range row.keys {
			v, _ := row.file.Get(key)
			if got := atoi(t, v); got < payload+1<<20 {
				t.Errorf("%s is %d: a value of 10 MB does not pass", key, got)
			}
		}
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", s)
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func TestListenersFollowFromTheAddresses(t *testing.T) {
	for _, row := range []struct {
		name   string
		broker Broker
		want   map[string]string
	}{
		{"ZooKeeper, two listeners", Broker{
			Mode: ModeZookeeper, Data: "/d", Zookeeper: "localhost:2181",
			External: Listener{"127.0.0.1:9092", "localhost:9092"}, Internal: Listener{"127.0.0.1:29092", "kafka:29092"},
		}, map[string]string{
			"listeners":                      "EXTERNAL://127.0.0.1:9092,INTERNAL://127.0.0.1:29092",
			"advertised.listeners":           "EXTERNAL://localhost:9092,INTERNAL://kafka:29092",
			"listener.security.protocol.map": "EXTERNAL:PLAINTEXT,INTERNAL:PLAINTEXT",
			"inter.broker.listener.name":     "INTERNAL",
			"zookeeper.connect":              "localhost:2181",
			"broker.id":                      "1",
		}},
		{"KRaft, one listener", Broker{
			Mode: ModeKRaft, Data: "/d", External: Listener{"127.0.0.1:9092", "localhost:9092"}, Controller: Listener{Listen: "127.0.0.1:9093"},
		}, map[string]string{
			"listeners":                      "EXTERNAL://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
			"advertised.listeners":           "EXTERNAL://localhost:9092",
			"listener.security.protocol.map": "EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
			"inter.broker.listener.name":     "EXTERNAL",
			"controller.quorum.voters":       "1@127.0.0.1:9093",
			"node.id":                        "1",
		}},
		{"what is added wins", Broker{
			Mode: ModeKRaft, External: Listener{Listen: "a:1"}, Controller: Listener{Listen: "a:2"},
			Extra: []Property{{"log.dirs", "/elsewhere"}, {"new", "x"}},
		}, map[string]string{"log.dirs": "/elsewhere", "new": "x"}},
	} {
		f := row.broker.File()
		for key, want := range row.want {
			if got, _ := f.Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", row.name, key, got, want)
			}
		}
	}
}

func TestKeysAreUnique(t *testing.T) {
	for name, f := range map[string]File{
		"zoo.cfg":   Zookeeper{Data: "/a", Log: "/b", Listen: "127.0.0.1:2181"}.File(),
		"zookeeper": Broker{Mode: ModeZookeeper, External: Listener{Listen: "a:1"}}.File(), "kraft": Broker{Mode: ModeKRaft}.File(),
		"connect": Connect{Listen: "a:1", PluginPath: "/p"}.File(), "reload4j": Log{"/l"}.Reload4j(), "log4j2": Log{"/l"}.Log4j2(),
	} {
		if _, err := Parse(f.String()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ${file:...} and ${env:...} were taken literally, and there was no folder for
// connectors of others.
func TestAWorkerReadsSecretsFromListedFoldersAndPluginsFromAFolder(t *testing.T) {
	for _, row := range []struct {
		story string
		of    Connect
		want  map[string]string // empty: not there
	}{
		{"nothing is given", Connect{}, map[string]string{
			"config.providers": "env", "config.providers.file.class": "", "plugin.path": "", "plugin.discovery": "service_load", "topic.creation.enable": "true",
		}},
		{"folders of secrets", Connect{Secrets: []string{"/a", "/b c"}}, map[string]string{
			"config.providers": "env,file", "config.providers.file.param.allowed.paths": "/a,/b c",
			"config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
			"config.providers.env.class":  "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		}},
		{"a folder of plugins", Connect{Plugins: "/p"}, map[string]string{"plugin.path": "/p", "plugin.discovery": "hybrid_warn"}},
		{"beside jars of the image", Connect{PluginPath: "/x.jar", Plugins: "/p"}, map[string]string{"plugin.path": "/x.jar,/p"}},
	} {
		file := row.of.File()
		for key, want := range row.want {
			if got, _ := file.Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", row.story, key, got, want)
			}
		}
	}
}
