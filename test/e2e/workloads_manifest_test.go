package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// manifestPod is what the test uses of a Deployment or a ConfigMap of the manifests.
type manifestPod struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args      []string
					Env       []struct{ Name, Value string }
					Readiness manifestProbe `yaml:"readinessProbe"`
					Liveness  manifestProbe `yaml:"livenessProbe"`
				}
			}
		}
	}
}

type manifestProbe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// checkPrograms runs the program of each Deployment with its arguments, its variables and the configuration of the manifests.
// Folders, ports and addresses are those of the test.
func (k *apiServer) checkPrograms(t *testing.T, broker, kubeconfig, host string) {
	t.Helper()
	credentials := t.TempDir()
	if err := os.WriteFile(filepath.Join(credentials, "admin-token"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var pods []manifestPod
	config := ""
	for _, text := range strings.Split(k.manifest(t), "\n---\n") {
		var p manifestPod
		if err := yaml.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		switch p.Kind {
		case "Deployment":
			pods = append(pods, p)
		case "ConfigMap":
			config = strings.NewReplacer("kafka:9092", broker, "10.0.0.0/8", host+"/32", ":8080", ":0").Replace(p.Data["smartlb.yaml"])
		}
	}
	if len(pods) != 3 || config == "" {
		t.Fatalf("the manifests have %d Deployments, want 3, and the configuration %q", len(pods), config)
	}
	file := mustWrite(t, config)
	for _, p := range pods {
		c := p.Spec.Template.Spec.Containers[0]
		env := slices.DeleteFunc(cleanEnv(t), func(v string) bool { return strings.HasPrefix(v, "KAFKA_BROKER=") }) // it would count, and not the file
		env = append(env, "SMARTLB_DISCOVERY_KUBERNETES_KUBECONFIG="+kubeconfig, "SMARTLB_CONSOLE_ADDRESS=127.0.0.1:0")
		for _, v := range c.Env {
			value := strings.ReplaceAll(v.Value, "/run/smartlb/credentials", credentials)
			if v.Name == "SMARTLB_NODE_ID" {
				value = p.Metadata.Name
			}
			env = append(env, v.Name+"="+value) // the zone is empty, as in clusters that do not know it
		}
		args := strings.Split(strings.NewReplacer("/etc/smartlb/smartlb.yaml", file, "=/data", "="+t.TempDir(), "=:8081", "=:0", "=10s", "=0s").Replace(strings.Join(c.Args, "\n")), "\n")
		n := startIn(t, env, true, args...)
		if c.Readiness.HTTPGet.Path == "" || c.Readiness.HTTPGet.Port != "admin" || c.Liveness.HTTPGet.Path == "" || c.Liveness.HTTPGet.Port != "admin" {
			t.Fatalf("%s has the probes %+v and %+v", p.Metadata.Name, c.Readiness, c.Liveness)
		}
		_, port, _ := net.SplitHostPort(n.Address("admin"))
		for _, path := range []string{c.Readiness.HTTPGet.Path, c.Liveness.HTTPGet.Path, "/metrics"} {
			eventually(t, p.Metadata.Name+" answers "+path, func() bool {
				status, _, _ := get(t, "http://"+net.JoinHostPort(host, port)+path)
				return status == 200
			})
		}
		if status, _, _ := get(t, "http://"+net.JoinHostPort(host, port)+"/api/v1/overview"); status != 401 {
			t.Errorf("%s: the API without a token answers %d, want 401", p.Metadata.Name, status)
		}
		if p.Metadata.Name == "smartlb-proxy" {
			cmd := exec.CommandContext(t.Context(), binary, "discovery", "--admin", "127.0.0.1:"+port)
			cmd.Env = env
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "kubernetes smartlb/example") {
				t.Errorf("smartlb discovery in the pod: %v\n%s", err, out)
			}
		}
		if log := strings.Join(n.Log(), "\n"); !strings.Contains(log, p.Metadata.Name) {
			t.Errorf("%s: the node has another id:\n%.2000s", p.Metadata.Name, log)
		}
	}
}
