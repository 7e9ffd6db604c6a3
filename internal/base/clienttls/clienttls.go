// Package clienttls reads the files of TLS connections that this process opens to servers beside the data path.
package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Files says what a connection is encrypted with. Each is the name of a PEM file; the zero value stands for the settings of
// the system.
type Files struct {
	CA         string // authorities of the server; "": those of the system
	Cert, Key  string // certificate of this process; both or none
	ServerName string // name in the certificate of the server; "": the host of its address
	Insecure   bool   // accept every certificate
}

// Config reads the files. The error begins with the key that is wrong: ca or cert.
func (f Files) Config() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName, InsecureSkipVerify: f.Insecure} // the operator's decision
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s has no certificate in PEM", f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
