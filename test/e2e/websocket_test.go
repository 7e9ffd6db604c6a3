package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leftout"
)

// Libraries of other people open WebSockets through the real process: by HTTP/1.1 and by extended CONNECT of HTTP/2, to an
// instance of HTTP/1.1 and to one of HTTP/2, which is another smartlb.
func TestForeignWebSockets(t *testing.T) {
	t.Parallel()
	if exec.Command("python3", "-c", "import ensurepip").Run() != nil {
		leftout.For(t, "WebSockets", "Python 3 with venv")
	}
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ws.SetReadLimit(-1)
		for {
			kind, data, err := ws.Read(r.Context())
			if err != nil {
				_ = ws.CloseNow()
				return
			}
			if err := ws.Write(r.Context(), kind, data); err != nil {
				t.Error(err)
			}
		}
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
	plain := lineProxy(t, to).Address("web")
	secure := lineProxy(t, to, "--tls-cert", certFile, "--tls-key", keyFile).Address("web")
	chain := lineProxy(t, []string{plain}, "--upstream-protocol", "h2c", "--tls-cert", certFile, "--tls-key", keyFile).Address("web")
	urls := []string{"ws://" + plain + "/", "wss://" + secure + "/", "wss://" + chain + "/"}

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	for _, url := range urls {
		dialWebSocket(t, client, url)
	}
	python := filepath.Join(dir, "python", "bin", "python")
	for _, args := range [][]string{
		{"python3", "-m", "venv", filepath.Join(dir, "python")},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "../foreign/websocket/requirements.txt"},
		append([]string{python, "../foreign/websocket/client.py", caFile}, urls...),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%v: %v\n%.2000s", args, err, out)
		}
		const one, two = "HTTP/1.1 hello 1048576 True pong 1000\n", "HTTP/2 200 hello 1048576 True pong 1000\n"
		if want := one + strings.Repeat(one+two, 2); strings.HasSuffix(args[1], "client.py") && string(out) != want {
			t.Errorf("got\n%s\nwant\n%s", out, want)
		}
	}
}

// dialWebSocket sends a text and a megabyte with coder/websocket, pings and closes.
func dialWebSocket(t *testing.T, client *http.Client, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return
	}
	ws.SetReadLimit(-1)
	for _, data := range [][]byte{[]byte("hello"), bytes.Repeat([]byte{7}, 1<<20)} {
		if err := ws.Write(ctx, websocket.MessageBinary, data); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(ctx); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", url, len(got), err)
		}
	}
	read := ws.CloseRead(ctx) // answers of pings need a reader
	if err := ws.Ping(ctx); err != nil {
		t.Errorf("%s: ping: %v", url, err)
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
	<-read.Done()
}

// A browser opens WebSockets on its connection of HTTP/2 (RFC 8441). The instance speaks HTTP/1.1.
func TestWebSocketsOfABrowserOverHTTP2(t *testing.T) {
	t.Parallel()
	needChromium(t, "WebSockets of a browser")
	closed := make(chan websocket.StatusCode, 2)
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!doctype html><title>instance</title>"))
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ws.SetReadLimit(-1)
		for {
			kind, data, err := ws.Read(r.Context())
			switch {
			case err != nil:
				closed <- websocket.CloseStatus(err)
				return
			case string(data) == "close":
				_ = ws.Close(4001, "the instance closes")
				return
			}
			if err := ws.Write(r.Context(), kind, data); err != nil {
				t.Error(err)
			}
		}
	}))
	defer instance.Close()
	dir := t.TempDir()
	cert, key := certtest.New(t, "e2e").IssuePEM(certtest.Options{}, "127.0.0.1")
	certFile, keyFile := certtest.Files(t, dir, "server", cert, key)
	logFile := filepath.Join(dir, "access.log")
	p := lineProxy(t, []string{instance.Listener.Addr().String()}, "--tls-cert", certFile, "--tls-key", keyFile, "--access-log", logFile)
	inBrowser(t, "websocket", "https://"+p.Address("web"))
	if t.Failed() {
		return
	}
	if got := <-closed; got != 4002 {
		t.Errorf("the instance got the close code %d of the page, want 4002", got)
	}
	eventually(t, "both tunnels are logged as requests of HTTP/2", func() bool {
		log, err := os.ReadFile(logFile)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, `"target":"/ws"`) {
				n++
				if !strings.Contains(line, `"protocol":"HTTP/2.0"`) || !strings.Contains(line, `"status":200`) {
					t.Fatalf("access log: %s", line)
				}
			}
		}
		return n == 2
	})
}
