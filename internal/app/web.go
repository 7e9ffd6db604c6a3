package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smartlb/smartlb/internal/api"
	"github.com/smartlb/smartlb/internal/console"
)

// webServer is the admin listener or the console's.
type webServer struct {
	name     string
	listener net.Listener
	server   *http.Server
}

// newWeb binds the admin listener, and the console's with that role.
func (a *App) newWeb() error {
	admin := a.o.Document.Admin.Address
	if !a.o.has(RoleProxy) && admin == "127.0.0.1:8081" {
		admin = "127.0.0.1:0" // the default port is the proxy's; others take a free one
	}
	src := a.sources()
	handler := api.New(src, a.o.Log)
	if err := a.serve("admin", admin, a.adminHandler(handler)); err != nil {
		return err
	}
	if !a.o.has(RoleConsole) {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", handler)
	mux.Handle("/", console.Handler())
	return a.serve("console", a.o.Document.Console.Address, mux)
}

func (a *App) serve(name, address string, h http.Handler) error {
	if err := a.guarded(name, address); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return portError(fmt.Errorf("%s: %w", name, err), "--"+name)
	}
	a.web = append(a.web, &webServer{name: name, listener: l, server: &http.Server{
		Handler: api.Guard(h), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}})
	return nil
}

// guarded refuses to listen where strangers could change routing: there are no
// credentials yet, so loopback is the protection.
func (a *App) guarded(name, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return nil // a bad address fails where it is listened on
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	if !a.o.Insecure {
		return fmt.Errorf("%s: %s can be reached from other machines and asks for no credentials: use a loopback address, or say --insecure-listen", name, address)
	}
	a.o.Log.Warn("listening beyond loopback without credentials: whoever reaches this address may change routing", "listener", name, "address", address)
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

func (a *App) adminHandler(apiHandler http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", apiHandler)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics(), promhttp.HandlerOpts{}))
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
	addr := a.Addr(name)
	if addr == "" {
		return ""
	}
	return "http://" + addr
}

// Names lists what Addr knows, in the order of importance.
func (a *App) Names() []string {
	var names []string
	if a.data != nil {
		for _, l := range a.data.listeners {
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
