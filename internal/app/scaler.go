package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"github.com/smartlb/smartlb/internal/console/scaler"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/stack/holder"
)

// newScaler binds the listener for KEDA. A node without the role proxy has no view of the instances and none.
func (a *App) newScaler() error {
	c := a.o.Document.Scaler
	if c.Address == "" || a.data == nil {
		return nil
	}
	if !access.Loopback(c.Address) && c.TLS.ClientCA == "" {
		if !a.o.Insecure {
			return fmt.Errorf("scaler: %s is reachable from other machines without credentials; use a loopback address, configure scaler.tls.clientCa, or use --insecure-listen", c.Address)
		}
		a.o.Log.Warn("listening beyond loopback without credentials: every client that reaches this address learns the load of all services", "listener", "scaler", "address", c.Address)
	}
	var secure *tls.Config
	if c.TLS.Cert != "" {
		var err error
		if secure, err = certificate(c.TLS.Cert, c.TLS.Key); err != nil {
			return fmt.Errorf("scaler: %w", err)
		}
		if secure.ClientCAs, err = authorities(c.TLS.ClientCA); err != nil {
			return fmt.Errorf("scaler.tls.clientCa: %w", err)
		}
		if secure.ClientCAs != nil {
			secure.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	l, err := a.o.Sockets.Listen("web", "scaler", c.Address, func() (net.Listener, error) { return net.Listen("tcp", c.Address) })
	if err != nil {
		return holder.PortError(fmt.Errorf("scaler: %w", err), "scaler.address")
	}
	bounded := limit(l, nil, false)
	a.web = append(a.web, &webServer{
		name: "scaler", listener: bounded, limited: bounded, secure: secure != nil,
		scaler: scaler.New(scaler.Config{Capacity: a.capacity, TLS: secure, Log: a.o.Log}),
	})
	return nil
}

// authorities reads the certificates of a file; without a file, nil.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}
