package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// apiServer is a real kube-apiserver with a real etcd, and without any controller: what controllers would write, the test
// writes.
type apiServer struct {
	t       *testing.T
	url     string
	binary  string
	args    []string
	dir     string
	cmd     *exec.Cmd
	client  *http.Client
	signing *rsa.PrivateKey
}

// kubernetesTools returns the programs of helm and kube-apiserver.
func kubernetesTools(t *testing.T) (helm, server string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // of a first build on a busy machine
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "-C", "../kubernetes", "./build")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("building kube-apiserver: %v\n%s", err, errs.String())
	}
	dir := strings.TrimSpace(string(out))
	return filepath.Join(dir, "helm"), filepath.Join(dir, "apiserver")
}

// runUntilEnd runs a program until the test ends.
func runUntilEnd(t *testing.T, log, name string, args ...string) *exec.Cmd {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

const (
	adminToken    = "admin"
	kubernetesIss = "https://kubernetes.test"
)

// startKubernetes returns when the API server is ready.
func startKubernetes(t *testing.T, binary string) *apiServer {
	t.Helper()
	etcd := leftout.Unless(t, "a real API server of Kubernetes", "etcd")
	dir := t.TempDir()
	port := porttest.Block(t, 1, 2, 3)
	k := &apiServer{t: t, binary: binary, dir: dir, url: fmt.Sprintf("https://127.0.0.1:%d", port+3)}
	var err error
	if k.signing, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k.signing)})
	for name, text := range map[string]string{"sa.key": string(key), "tokens.csv": adminToken + ",admin,admin,system:masters\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := fmt.Sprintf("http://127.0.0.1:%d", port+1)
	peers := fmt.Sprintf("http://127.0.0.1:%d", port+2)
	runUntilEnd(t, filepath.Join(dir, "etcd.log"), etcd, "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", store, "--advertise-client-urls", store,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	k.args = []string{
		"--etcd-servers=" + store, "--service-account-key-file=" + filepath.Join(dir, "sa.key"), "--service-account-signing-key-file=" + filepath.Join(dir, "sa.key"),
		"--service-account-issuer=" + kubernetesIss, "--token-auth-file=" + filepath.Join(dir, "tokens.csv"), "--cert-dir=" + filepath.Join(dir, "certs"),
		"--service-cluster-ip-range=10.0.0.0/24", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port+3),
		"--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--profiling=false",
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"etcd.log", "apiserver.log"} {
				b, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("end of %s:\n%s", name, b[max(0, len(b)-4000):])
			}
		}
	})
	k.start()
	return k
}

// start starts the API server, again after kill.
func (k *apiServer) start() {
	k.t.Helper()
	k.cmd = runUntilEnd(k.t, filepath.Join(k.dir, "apiserver.log"), k.binary, k.args...)
	ca := k.ca()
	eventually(k.t, "the certificate of the API server", func() bool { _, err := os.Stat(ca); return err == nil })
	roots := x509.NewCertPool()
	eventually(k.t, "a whole certificate", func() bool { b, err := os.ReadFile(ca); return err == nil && roots.AppendCertsFromPEM(b) })
	if k.client != nil {
		k.client.CloseIdleConnections()
	}
	k.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	k.t.Cleanup(k.client.CloseIdleConnections)
	eventually(k.t, "an API server that is ready", func() bool {
		code, _ := k.do(adminToken, "GET", "/readyz", "", nil)
		return code == 200
	})
}

func (k *apiServer) kill() { _ = k.cmd.Process.Kill(); _ = k.cmd.Wait() }

func (k *apiServer) signal(s syscall.Signal) {
	if err := k.cmd.Process.Signal(s); err != nil {
		k.t.Error(err)
	}
}

// ca is the file with the authority of the API server, which it wrote itself.
func (k *apiServer) ca() string { return filepath.Join(k.dir, "certs", "apiserver.crt") }

// do sends a request with a token.
func (k *apiServer) do(token, method, path, kind string, body []byte) (code int, answer string) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, k.url+path, bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// plural gives the place of each kind that the manifests have.
var plural = map[string]string{
	"v1/Namespace": "/api/v1/namespaces", "v1/ConfigMap": "/api/v1/namespaces/%s/configmaps", "v1/Service": "/api/v1/namespaces/%s/services",
	"v1/ServiceAccount": "/api/v1/namespaces/%s/serviceaccounts", "apps/v1/Deployment": "/apis/apps/v1/namespaces/%s/deployments",
	"policy/v1/PodDisruptionBudget":      "/apis/policy/v1/namespaces/%s/poddisruptionbudgets",
	"networking.k8s.io/v1/NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies",
	"v1/Node":                            "/api/v1/nodes", "rbac.authorization.k8s.io/v1/ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"rbac.authorization.k8s.io/v1/Role":               "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
	"rbac.authorization.k8s.io/v1/RoleBinding":        "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	"discovery.k8s.io/v1/EndpointSlice":               "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices",
}

// object is what all objects of Kubernetes have.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
}

// place returns the path of an object.
func (k *apiServer) place(o object) string {
	k.t.Helper()
	folder := plural[o.APIVersion+"/"+o.Kind]
	if folder == "" {
		k.t.Fatalf("the test knows no kind %s of %s", o.Kind, o.APIVersion)
	}
	if strings.Contains(folder, "%s") {
		folder = fmt.Sprintf(folder, o.Metadata.Namespace)
	}
	return folder + "/" + o.Metadata.Name
}

// apply applies the objects of a manifest as kubectl apply --server-side does. Unknown and repeated fields are errors. With
// dry, nothing changes.
func (k *apiServer) apply(manifest string, dry bool) (all []object) {
	k.t.Helper()
	query := "?fieldManager=test&force=true&fieldValidation=Strict"
	if dry {
		query += "&dryRun=All"
	}
	for _, text := range strings.Split("\n"+manifest, "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			k.t.Fatalf("%v in\n%s", err, text)
		}
		if o.Kind == "" {
			continue // comments
		}
		if code, answer := k.do(adminToken, "PATCH", k.place(o)+query, "application/apply-patch+yaml", []byte(text)); code != 200 && code != 201 {
			k.t.Errorf("applying %s %s: %d %s", o.Kind, o.Metadata.Name, code, answer)
		}
		all = append(all, o)
	}
	return all
}

func (k *apiServer) remove(o object) {
	k.t.Helper()
	if code, answer := k.do(adminToken, "DELETE", k.place(o), "", nil); code != 200 {
		k.t.Errorf("deleting %s %s: %d %s", o.Kind, o.Metadata.Name, code, answer)
	}
}

// token returns a token of a service account.
func (k *apiServer) token(namespace, account string) string {
	k.t.Helper()
	code, answer := k.do(adminToken, "POST", "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+account+"/token", "application/json",
		[]byte(`{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}`))
	var out struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(answer), &out); err != nil || code != 201 {
		k.t.Fatalf("a token: %d %s", code, answer)
	}
	return out.Status.Token
}

// expired returns a token that was good until an hour ago.
func (k *apiServer) expired(good string) string {
	k.t.Helper()
	parts := strings.Split(good, ".")
	src, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(src, &claims)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	then := time.Now().Add(-2 * time.Hour).Unix()
	claims["iat"], claims["nbf"], claims["exp"] = then, then, then+3600
	src, _ = json.Marshal(claims)
	text := parts[0] + "." + base64.RawURLEncoding.EncodeToString(src)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.signing, crypto.SHA256, digest[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// podAddress returns an address of this machine that pods can have: Kubernetes refuses loopback addresses. A machine without
// any, as in a network namespace of its own, gets one.
func podAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	const own = "10.255.77.1"
	if out, err := exec.Command("ip", "addr", "add", own+"/32", "dev", "lo").CombinedOutput(); err != nil {
		leftout.For(t, "instances with addresses of pods", "a network address: "+string(out))
	}
	t.Cleanup(func() { _ = exec.Command("ip", "addr", "del", own+"/32", "dev", "lo").Run() })
	return own
}
