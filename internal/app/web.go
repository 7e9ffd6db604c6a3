package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/event"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/peers"
	"github.com/smartlb/smartlb/internal/console/ui"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
)

// webServer is the admin listener or the console's.
type webServer struct {
	name     string
	listener net.Listener
	limited  *limited
	server   *http.Server
	secure   bool // TLS
}

// newWeb binds the admin listener, and the console's with that role. Who may do
// what is asked by the console, and by the admin listener where strangers could
// reach it.
func (a *App) newWeb() error {
	c := a.o.Document.Console
	who, err := c.Access(os.Getenv, os.ReadFile)
	if err != nil {
		return err
	}
	if ref := a.o.Document.Admin.Token; ref != "" {
		if a.token, err = ref.Resolve(os.Getenv, os.ReadFile); err != nil {
			return fmt.Errorf("admin.token: %w", err)
		}
	}
	a.peers = peers.New(a.o.Document.Admin.Peers, a.token)
	gate, err := access.New(who)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	admin := a.o.Document.Admin.Address
	if !a.o.has(event.RoleProxy) && admin == config.DefaultAdmin {
		admin = "127.0.0.1:0" // the default port is the proxy's; others take a free one
	}
	src := a.sources()
	src.ReadOnly = c.ReadOnly // also without the role: else the admin listener of the node beside the console would change what the console may not
	if !access.Loopback(admin) {
		who.Token = a.token
		if src.Gate, err = access.New(who); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	if err := a.serve("admin", admin, a.adminHandler(api.New(src, a.o.Log)), src.Gate, nil); err != nil {
		return err
	}
	if !a.o.has(event.RoleConsole) {
		return nil
	}
	src.Gate = gate
	mux := http.NewServeMux()
	mux.Handle("/api/", api.New(src, a.o.Log))
	mux.Handle("/", ui.Handler())
	var secure *tls.Config
	if c.TLS.Cert != "" {
		if secure, err = certificate(c.TLS.Cert, c.TLS.Key); err != nil {
			return fmt.Errorf("console: %w", err)
		}
	}
	return a.serve("console", c.Address, mux, gate, secure)
}

func (a *App) serve(name, address string, h http.Handler, gate *access.Gate, secure *tls.Config) error {
	if err := a.guarded(name, address, gate, secure != nil); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return portError(fmt.Errorf("%s: %w", name, err), "--"+name)
	}
	bounded := limit(l, a.o.Document.Console.TrustedProxies, secure == nil)
	l = bounded
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	a.web = append(a.web, &webServer{name: name, listener: l, limited: bounded, secure: secure != nil, server: &http.Server{
		Handler: api.Guard(h, a.o.Document.Console.Hosts...), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10, // streams have deadlines of their own, for each write
		ErrorLog: slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug), // handshakes of strangers
	}})
	return nil
}

// certificate serves a certificate from files and takes up new ones: a
// handshake that finds the files changed reads them again, and keeps the old
// one where they cannot be read.
func certificate(cert, key string) (*tls.Config, error) {
	load := func() (*tls.Certificate, time.Time, error) {
		at := time.Time{}
		if info, err := os.Stat(cert); err == nil {
			at = info.ModTime()
		}
		c, err := tls.LoadX509KeyPair(cert, key)
		return &c, at, err
	}
	current, at, err := load()
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	var mu sync.Mutex
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if info, err := os.Stat(cert); err == nil && !info.ModTime().Equal(at) {
			if c, t, err := load(); err == nil {
				current, at = c, t
			}
		}
		return current, nil
	}}, nil
}

// guarded refuses to listen where strangers could change routing without
// saying who they are. gate is nil where nobody could be asked.
func (a *App) guarded(name, address string, gate *access.Gate, secure bool) error {
	switch {
	case access.Loopback(address):
		return nil
	case !gate.Open():
		if !secure {
			a.o.Log.Warn("passwords and sessions are sent in plain text unless a proxy before this listener terminates TLS", "listener", name, "address", address, "fix", "console.tls")
		}
		return nil
	case !a.o.Insecure:
		return fmt.Errorf("%s: %s is reachable from other machines without credentials; use a loopback address, configure console.users or console.oidc (for admin also admin.token), or use --insecure-listen", name, address)
	}
	a.o.Log.Warn("listening beyond loopback without credentials: every client that reaches this address may change routing", "listener", name, "address", address)
	return nil
}

// run serves until ctx ends; open event streams do not hold up a stop.
func (w *webServer) run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(w.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	soft, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if w.server.Shutdown(soft) != nil {
		_ = w.server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// maxScrapes bounds the scrapes of /metrics at once; others get 503.
const maxScrapes = 8

func (a *App) adminHandler(apiHandler http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", apiHandler)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics(), promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := a.notReady(); why != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, why)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// notReady says why the node should get no traffic. Kafka never matters.
func (a *App) notReady() string {
	select {
	case <-a.ready:
	default:
		return "starting"
	}
	if a.draining() {
		return "draining"
	}
	if a.data != nil && a.data.dispatcher.Table() == nil {
		return "no configuration has been loaded yet"
	}
	return ""
}

// Addr gives the bound address of admin, console, broker or a proxy listener,
// empty where there is none.
func (a *App) Addr(name string) string {
	for _, w := range a.web {
		if w.name == name {
			return w.listener.Addr().String()
		}
	}
	if name == "broker" && a.broker != nil {
		return a.broker.Addr()
	}
	if name == "broker-internal" && a.broker != nil {
		return a.broker.InternalAddr()
	}
	if a.data != nil {
		if addr := a.data.proxy.Addr(name); addr != nil {
			return addr.String()
		}
	}
	return ""
}

func (a *App) url(name string) string {
	for _, w := range a.web {
		if w.name == name && w.secure {
			return "https://" + w.listener.Addr().String()
		}
	}
	addr := a.Addr(name)
	if beside := a.consoleURL.Load(); addr == "" && name == "console" && beside != nil {
		return *beside
	}
	if addr == "" {
		return ""
	}
	return "http://" + addr
}

// Names lists what Addr knows, in the order of importance.
func (a *App) Names() []string {
	var names []string
	if a.data != nil {
		for _, l := range a.data.proxy.Listeners() {
			names = append(names, l.Name)
		}
	}
	if a.broker != nil {
		names = append(names, "broker")
	}
	for _, w := range a.web {
		names = append(names, w.name)
	}
	return names
}
