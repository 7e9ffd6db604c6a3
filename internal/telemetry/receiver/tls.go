package receiver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smartlb/smartlb/internal/base/clienttls"
	"github.com/smartlb/smartlb/internal/control/config"
)

// tlsConfig reads the files of a receiver.
func tlsConfig(c config.ReceiverTLS) (*tls.Config, error) {
	out, err := clienttls.Files{CA: c.CA, Cert: c.Cert, Key: c.Key, ServerName: c.ServerName, Insecure: c.Insecure}.Config()
	if err != nil {
		return nil, fmt.Errorf("tls.%w", err)
	}
	return out, nil
}

// certificateHint explains an error of a certificate; empty for any other error.
func certificateHint(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return "; name the authority of the receiver in tls.ca"
	case errors.As(err, &host):
		return "; name the host of its certificate in tls.serverName"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "; the receiver needs a new certificate"
	}
	return ""
}
