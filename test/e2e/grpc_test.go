package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

// grpcTools builds the instance and the client of gRPC.
func grpcTools(t *testing.T) (server, client string) {
	t.Helper()
	dir := t.TempDir()
	server, client = filepath.Join(dir, "server"), filepath.Join(dir, "client")
	buildGRPC(t, server, "./server")
	buildGRPC(t, client, "google.golang.org/grpc/interop/client")
	return server, client
}

func buildGRPC(t *testing.T, out, pkg string) {
	t.Helper()
	if b, err := exec.Command("go", "build", "-C", "../foreign/grpc", "-o", out, pkg).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, b)
	}
}

// grpcInstance starts an instance and returns its address.
func grpcInstance(t *testing.T, server string) (addr string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.Command(server)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(addr), cmd
}

// interopCases are the cases of grpc-go's interoperability client that need no credentials of Google.
var interopCases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "timeout_on_sleeping_server",
	"cancel_after_begin", "cancel_after_first_response", "status_code_and_message", "special_status_message", "custom_metadata",
	"unimplemented_method", "unimplemented_service",
}

// gRPC through the real process: grpc-go's interoperability tests with TLS and without, and grpcio.
func TestGRPC(t *testing.T) {
	t.Parallel()
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "clients of gRPC", "Python 3 with venv")
	}
	server, client := grpcTools(t)
	one, first := grpcInstance(t, server)
	two, _ := grpcInstance(t, server)
	ca, dir := certtest.New(t, "e2e"), t.TempDir()
	cert, key := ca.IssuePEM(certtest.Options{}, "127.0.0.1", "localhost")
	certFile, keyFile := certtest.Files(t, dir, "server", cert, key)
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "127.0.0.1:0"}
  - {name: secure, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
routes: [{name: all, path: {prefix: /}, service: shop}]
services:
  - id: shop
    protocol: h2c
    loadReports: {orca: {}}
    healthCheck: {type: grpc, service: grpc.testing.TestService, interval: 200ms}
    instances: [{id: i1, address: %q}, {id: i2, address: %q}]
`, certFile, keyFile, one, two))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir(), "--access-log", filepath.Join(dir, "access.log"))
	plain, secure := p.Address("web"), p.Address("secure")

	run := func(name string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %v: %v\n%.3000s", filepath.Base(name), args, err, out)
		}
		return string(out)
	}
	caFile := mustWrite(t, string(ca.PEM()))
	for _, addr := range []string{plain, secure} {
		host, port, _ := net.SplitHostPort(addr)
		args := []string{"-server_host", host, "-server_port", port}
		if addr == secure {
			args = append(args, "-use_tls", "-use_test_ca", "-ca_file", caFile, "-server_host_override", "localhost")
		}
		for _, name := range interopCases {
			run(client, append(args, "-test_case", name)...)
		}
	}
	python := filepath.Join(dir, "python", "bin", "python")
	run("python3", "-m", "venv", filepath.Join(dir, "python"))
	run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "../foreign/grpc/requirements.txt")
	out := run(python, "../foreign/grpc/client.py", plain)
	for _, want := range []string{"unary 1000", "stream", "streams 1000", "unimplemented", "deadline"} {
		if !strings.Contains(out, want) {
			t.Errorf("grpcio: no %q in %s", want, out)
		}
	}

	// The load reports of grpc-go, in trailers, are read.
	if _, body, _ := get(t, "http://"+p.Address("admin")+"/metrics"); !regexp.MustCompile(`smartlb_service_load_reports_total\{result="read",service="shop"\} [1-9]`).MatchString(body) ||
		!strings.Contains(body, `smartlb_service_load_reports_total{result="invalid",service="shop"} 0`) {
		t.Errorf("load reports: %s", regexp.MustCompile(`(?m)^smartlb_service_load.*`).FindAllString(body, -1))
	}

	// An instance that reports itself as not serving gets no more requests.
	state := func() string {
		_, body, _ := get(t, "http://"+p.Address("admin")+"/api/v1/instances/i1/explain")
		return body
	}
	if err := first.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "i1 is unhealthy", func() bool { return strings.Contains(state(), "NOT_SERVING") })
	if t.Failed() {
		t.Log(state())
	}
}
