package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// thirdParty is a connector of another project, from Maven Central: a source
// that invents records. Its jar has no service manifest, as many have not.
const thirdParty = `<project><modelVersion>4.0.0</modelVersion><groupId>plugin</groupId><artifactId>plugin</artifactId><version>1</version><dependencies><dependency>
<groupId>com.github.jcustenborder.kafka.connect</groupId><artifactId>kafka-connect-simulator</artifactId><version>0.1.118</version></dependency></dependencies></project>`

// plugins makes a folder of plugins with the third-party connector in it.
func plugins(t *testing.T) string {
	t.Helper()
	work, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(thirdParty), 0o644); err != nil {
		t.Fatal(err)
	}
	mvn := exec.Command("mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(dir, "simulator"))
	mvn.Dir = work
	if out, err := mvn.CombinedOutput(); err != nil {
		t.Fatalf("mvn: %v\n%s", err, out)
	}
	return dir
}

// A user's first hour with Connect: a connector of another project, a secret in
// a file, a topic that does not exist, and a task that fails at once.
func TestConnectorsOfOthersSecretsAndMissingTopics(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *jvm) {
		secrets := t.TempDir()
		if err := os.WriteFile(filepath.Join(secrets, "lines.properties"), []byte("topic=from-a-secret\nfile="+filepath.Join(secrets, "in.txt")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(secrets, "in.txt"), []byte("one\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		// The third-party connector is of the time before Java 17 closed its own classes.
		s.env = append(s.env, "LINES_TOPIC=from-the-environment", "JAVA_TOOL_OPTIONS=--add-opens=java.base/java.lang=ALL-UNNAMED")
		s.flags = append(s.flags, "--plugins", plugins(t), "--secrets", secrets)
		s.start()
		s.must("restart") // remembers both
		apply := func(config string, flags ...string) (stdout, stderr string, code int) {
			file := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			return s.run(append([]string{"connect", "apply", "--timeout", "3m", "-f", file}, flags...)...)
		}
		source := "connector.class: FileStreamSource\nkey.converter: org.apache.kafka.connect.storage.StringConverter\nvalue.converter: org.apache.kafka.connect.storage.StringConverter\n"

		t.Run("a connector of another project", func(t *testing.T) {
			if out, words, code := apply("name: invented\nconnector.class: com.github.jcustenborder.kafka.connect.simulator.SimulatorSourceConnector\ntopic: people\nkey.schema.fields: email\nvalue.schema.fields: email,firstName\n", "--wait"); code != 0 {
				t.Fatalf("%d\n%s\n%s", code, out, words)
			}
			if out := s.must("consume", "people", "--from-beginning", "-n", "1", "-f"); !strings.Contains(out, "mail") {
				t.Errorf("people holds %q", out)
			}
			s.must("connect", "delete", "invented", "--execute")
		})
		t.Run("references to secrets", func(t *testing.T) {
			for name, topic := range map[string]string{
				"from-a-secret":        "${file:" + filepath.Join(secrets, "lines.properties") + ":topic}",
				"from-the-environment": "${env:LINES_TOPIC}",
			} {
				config := source + fmt.Sprintf("name: %s\ntopic: %s\nfile: ${file:%s:file}\n", name, topic, filepath.Join(secrets, "lines.properties"))
				if out, words, code := apply(config, "--wait"); code != 0 {
					t.Fatalf("%s: %d\n%s\n%s", name, code, out, words)
				}
				if out := s.must("consume", name, "--from-beginning", "-n", "1", "-f"); out != "one\n" {
					t.Errorf("%s holds %q", name, out)
				}
			}
			outside := filepath.Join(t.TempDir(), "x.properties")
			if err := os.WriteFile(outside, []byte("topic=t\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, words, code := apply(source + "name: outside\nfile: /dev/null\ntopic: ${file:" + outside + ":topic}\n"); code != 1 || !strings.Contains(words, "outside of the allowed paths") {
				t.Errorf("a file outside of the folders: %d\n%s\n%s", code, out, words)
			}
		})
		t.Run("a topic that does not exist", func(t *testing.T) {
			config := source + "name: waiting\nfile: " + filepath.Join(secrets, "in.txt") + "\ntopic: nowhere\n"
			if out, words, code := apply(config, "--create-topics=false", "--wait"); code != 0 || !strings.Contains(out, "topic nowhere does not exist") {
				t.Errorf("apply: %d\n%s\n%s", code, out, words)
			}
			if out := s.must("connect", "list"); !strings.Contains(out, "RUNNING, topic missing") {
				t.Errorf("list: %s", out)
			}
			if out, _, _ := s.run("doctor", "--connect", s.service("connect").Address); !strings.Contains(out, "connector waiting is RUNNING, and its topic nowhere does not exist") {
				t.Errorf("doctor: %s", out)
			}
			s.must("topics", "create", "nowhere")
			if out := s.must("connect", "list"); strings.Contains(out, "topic missing") {
				t.Errorf("list, with the topic: %s", out)
			}
		})
		t.Run("a task that fails at once", func(t *testing.T) {
			config := "name: failing\nconnector.class: FileStreamSink\ntopics: from-a-secret\nfile: /proc/nowhere/out.txt\n"
			if out, words, code := apply(config, "--wait"); code != 1 || !strings.Contains(out, "task 0 failed: ") {
				t.Errorf("apply: %d\n%s\n%s", code, out, words)
			}
			if out := s.must("connect", "list"); !strings.Contains(out, "0/1 running, 1 FAILED") || !strings.Contains(out, "connector failing: task 0 failed: ") {
				t.Errorf("list: %s", out)
			}
			if out, words, code := s.run("connect", "restart", "failing", "--wait", "--timeout", "3m"); code != 1 || !strings.Contains(out, "task 0 failed: ") {
				t.Errorf("restart: %d\n%s\n%s", code, out, words)
			}
		})
	})
}
