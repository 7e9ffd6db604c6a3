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
	"github.com/smartlb/smartlb/internal/stack/holder"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/peers"
	"github.com/smartlb/smartlb/internal/console/scaler"
	"github.com/smartlb/smartlb/internal/console/ui"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
)

// webServer is the listener of admin, console, OTLP or scaler.
type webServer struct {
	name     string
	listener net.Listener
	limited  *limited
	server   *http.Server
	scaler   *scaler.Server // instead of server
	secure   bool           // TLS
}

// newWeb binds the admin listener and, with the role console, the console's listener. The console authenticates its
// clients. The admin listener does so if its address is not loopback.
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
	a.proxies = peers.NewProxies(peers.New(a.o.Document.Admin.Peers, a.token), a.kafka, a.o.Log)
	gate, err := access.New(who)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	admin := a.o.Document.Admin.Address
	if !a.o.has(event.RoleProxy) && admin == config.DefaultAdmin {
		admin = "127.0.0.1:0" // the default port belongs to the proxy; other processes use a free port
	}
	src := a.sources()
	src.ReadOnly = c.ReadOnly // also without the role: otherwise the admin listener of the console's node would permit changes that the console forbids
	if !access.Loopback(admin) {
		who.Token = a.token
		if src.Gate, err = access.New(who); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	if err := a.serve("admin", admin, a.guard(a.adminHandler(api.New(src, a.o.Log))), src.Gate, nil); err != nil {
		return err
	}
	if err := a.newReceiver(); err != nil {
		return err
	}
	if err := a.newScaler(); err != nil {
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
	return a.serve("console", c.Address, a.guard(mux), gate, secure)
}

// guard refuses requests that pages of other origins cause.
func (a *App) guard(h http.Handler) http.Handler { return api.Guard(h, a.o.Document.Console.Hosts...) }

func (a *App) serve(name, address string, h http.Handler, gate *access.Gate, secure *tls.Config) error {
	if err := a.guarded(name, address, gate, secure != nil); err != nil {
		return err
	}
	l, err := a.o.Sockets.Listen("web", name, address, func() (net.Listener, error) { return net.Listen("tcp", address) })
	if err != nil {
		return holder.PortError(fmt.Errorf("%s: %w", name, err), "--"+name)
	}
	bounded := limit(l, a.o.Document.Console.TrustedProxies, secure == nil)
	l = bounded
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	var protocols *http.Protocols
	if name == "otlp" { // for gRPC
		protocols = new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(true)
	}
	a.web = append(a.web, &webServer{name: name, listener: l, limited: bounded, secure: secure != nil, server: &http.Server{
		Handler: h, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10, // each write of a stream has its own deadline
		ErrorLog: slog.NewLogLogger(a.o.Log.Handler(), slog.LevelDebug), // failed handshakes of unknown clients
	}})
	return nil
}

// certificate serves a certificate from files. If the files have changed, the next handshake reads them again. If they
// cannot be read, it keeps the old certificate.
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

// guarded returns an error if unauthenticated clients of the address could change routing. gate is nil if the listener
// has no authentication.
func (a *App) guarded(name, address string, gate *access.Gate, secure bool) error {
	fix, encrypt := "console.users or console.oidc (for admin also admin.token)", "console.tls"
	if name == "otlp" {
		fix, encrypt = "telemetry.otlp.token", "telemetry.otlp.tls"
	}
	switch {
	case access.Loopback(address):
		return nil
	case !gate.Open():
		if !secure {
			a.o.Log.Warn("passwords and sessions are sent in plain text unless a proxy before this listener terminates TLS", "listener", name, "address", address, "fix", encrypt)
		}
		return nil
	case !a.o.Insecure:
		return fmt.Errorf("%s: %s is reachable from other machines without credentials; use a loopback address, configure %s, or use --insecure-listen", name, address, fix)
	}
	a.o.Log.Warn("listening beyond loopback without credentials: every client that reaches this address may change routing", "listener", name, "address", address)
	return nil
}

// run serves until ctx ends. Open event streams do not delay a stop.
func (w *webServer) run(ctx context.Context) error {
	if w.scaler != nil {
		return w.scaler.Run(ctx, w.listener)
	}
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

// maxScrapes limits concurrent scrapes of /metrics; further scrapes get 503.
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

// notReady returns the reason why the node should get no traffic; empty: it is ready. Kafka has no effect on it.
func (a *App) notReady() string {
	select {
	case <-a.ready:
	default:
		return "starting"
	}
	if a.draining() {
		return "draining"
	}
	if a.data != nil && time.Since(a.started) < firstAnswers && !a.data.discovery.Ready() {
		return "waiting for the sources of instances"
	}
	if a.data != nil && a.data.dispatcher.Table() == nil {
		return "no configuration has been loaded yet"
	}
	return ""
}

// Addr returns the bound address of admin, console, broker or a proxy listener; empty: there is no such listener.
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
	if child := a.consoleURL.Load(); addr == "" && name == "console" && child != nil {
		return *child
	}
	if addr == "" {
		return ""
	}
	return "http://" + addr
}

// Names lists the names that Addr accepts, the most important first.
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
