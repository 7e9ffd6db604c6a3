package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

// Clients of other people speak HTTP/2 with the real process, by TLS and in the clear.
func TestForeignClientsSpeakHTTP2(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "nghttp", "node", "java"} {
		leftout.Unless(t, "clients of HTTP/2", tool)
	}
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "clients of HTTP/2", "Python 3 with venv")
	}
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			_, _ = w.Write(body)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("hello ", 100_000))
	}))
	defer instance.Close()
	ca, dir := certtest.New(t, "e2e"), t.TempDir()
	cert, key := ca.IssuePEM(certtest.Options{}, "127.0.0.1", "localhost")
	certFile, keyFile := certtest.Files(t, dir, "server", cert, key)
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	to := []string{instance.Listener.Addr().String()}
	secure := "https://" + lineProxy(t, to, "--tls-cert", certFile, "--tls-key", keyFile).Address("web") + "/"
	plain := "http://" + lineProxy(t, to).Address("web") + "/"

	run := func(name string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %v: %v\n%.2000s", name, args, err, out)
		}
		return string(out)
	}
	says := func(out string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("want %q in\n%.2000s", w, out)
			}
		}
	}
	const format = "%{http_version} %{http_code} %{size_download}"
	says(run("curl", "-sS", "--http2", "--cacert", caFile, "-o", "/dev/null", "-w", format, secure), "2 200 600000")
	says(run("curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", format, plain), "2 200 600000")
	says(run("curl", "-sS", "--http2", "-d", "hello", "-o", "/dev/null", "-w", format, plain), "1.1 200 5") // Upgrade: h2c is not taken
	says(run("curl", "-sS", "--http1.1", "--cacert", caFile, "-o", "/dev/null", "-w", format, secure), "1.1 200 600000")
	says(run("nghttp", "-nv", "--no-verify-peer", secure, secure+"a", secure+"b"), ":status: 200")
	for _, url := range []string{secure, plain} {
		says(run("h2load", "-n", "2000", "-c", "4", "-m", "50", "-d", caFile, url), "2000 succeeded, 0 failed, 0 errored")
	}
	says(run("node", "../foreign/http2/client.mjs", caFile, secure), "200\n")
	says(run("java", "../foreign/http2/Client.java", caFile, secure, plain),
		"https GET HTTP_2 200 600000", "https POST HTTP_2 200 300000", "http GET HTTP_1_1 200 600000", "http POST HTTP_1_1 200 300000")
	python := filepath.Join(dir, "python", "bin", "python")
	run("python3", "-m", "venv", filepath.Join(dir, "python"))
	run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "../foreign/http2/requirements.txt")
	says(run(python, "../foreign/http2/client.py", caFile, secure), "HTTP/2 200 600000\nHTTP/2 200 300000\nHTTP/2 200 300000\nHTTP/2 200 0\n")
}

// h2spec sends what a server must refuse or survive. In the clear, one of its cases does not apply: the port also speaks
// HTTP/1.1, so bytes that are not the preface of HTTP/2 are a bad request of HTTP/1.1 and get its answer.
func TestH2spec(t *testing.T) {
	t.Parallel()
	ins := instances(t, 1)
	ca := certtest.New(t, "e2e")
	cert, key := ca.IssuePEM(certtest.Options{}, "127.0.0.1", "localhost")
	certFile, keyFile := certtest.Files(t, t.TempDir(), "server", cert, key)
	h2spec := filepath.Join(t.TempDir(), "h2spec")
	if out, err := exec.Command("go", "build", "-C", "../../tools", "-o", h2spec, "github.com/summerwind/h2spec/cmd/h2spec").CombinedOutput(); err != nil {
		t.Fatalf("building h2spec: %v\n%s", err, out)
	}
	total := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`)
	for name, args := range map[string][]string{"tls": {"--tls-cert", certFile, "--tls-key", keyFile}, "clear": nil} {
		host, port, _ := net.SplitHostPort(lineProxy(t, []string{ins[0].addr}, args...).Address("web"))
		flags := []string{"-h", host, "-p", port, "-o", fmt.Sprint(int(maxWait.Seconds()))}
		failed := "1"
		if name == "tls" {
			flags = append(flags, "-t", "-k")
			failed = "0"
		}
		out, _ := exec.Command(h2spec, flags...).CombinedOutput()
		m := total.FindStringSubmatch(string(out))
		if m == nil || m[1] != "145" || m[3] != "0" || m[4] != failed {
			t.Errorf("%s: %.6000s", name, out)
		}
		if name == "clear" && !strings.Contains(string(out), "× 2: Sends invalid connection preface") {
			t.Errorf("another case failed: %.6000s", out)
		}
	}
}
