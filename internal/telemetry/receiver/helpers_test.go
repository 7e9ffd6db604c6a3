package receiver

import (
	"crypto/tls"
	"io"
	"log"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// serverTLS returns the settings of a server that asks for a certificate of a client.
func serverTLS(own tls.Certificate, clients *certtest.Authority) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients.Pool(), MinVersion: tls.VersionTLS12}
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }
