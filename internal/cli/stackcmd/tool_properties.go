package stackcmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// toolGrace is the time that a tool has to stop after Ctrl-C.
const toolGrace = 10 * time.Second

// clientProperties writes TLS and login settings to a file in work, in the format of Java's client. Only this user can
// read the file. For a cluster without TLS and login, it returns an empty path.
func clientProperties(s kafka.Security, getenv func(string) string, read func(string) ([]byte, error), work string) (string, error) {
	if !s.TLS.On() && !s.SASL.On() {
		return "", nil
	}
	file := properties.File{{Key: "security.protocol", Value: protocolOf(s)}}
	if s.TLS.On() {
		tls, err := tlsProperties(s.TLS, read, work)
		if err != nil {
			return "", err
		}
		file = file.With(tls...)
	}
	if s.SASL.On() {
		login, err := loginProperties(s.SASL, getenv, read)
		if err != nil {
			return "", err
		}
		file = file.With(login...)
	}
	path := filepath.Join(work, "client.properties")
	return path, os.WriteFile(path, []byte(file.String()), 0o600)
}

func protocolOf(s kafka.Security) string {
	switch {
	case s.TLS.On() && s.SASL.On():
		return "SASL_SSL"
	case s.TLS.On():
		return "SSL"
	}
	return "SASL_PLAINTEXT"
}

func tlsProperties(t kafka.TLS, read func(string) ([]byte, error), work string) (properties.File, error) {
	switch {
	case t.Insecure:
		return nil, errors.New("tls.insecure: Java clients cannot accept every certificate; name the CA with tls.ca")
	case t.ServerName != "":
		return nil, errors.New("tls.serverName: Java clients verify the host name that they connect to; use host names that are in the brokers' certificates")
	}
	var out properties.File
	if t.CA != "" {
		out = properties.File{{Key: "ssl.truststore.type", Value: "PEM"}, {Key: "ssl.truststore.location", Value: t.CA}}
	}
	if t.Cert == "" {
		return out, nil
	}
	cert, err := read(t.Cert)
	if err != nil {
		return nil, err
	}
	key, err := read(t.Key)
	if err != nil {
		return nil, err
	}
	both := filepath.Join(work, "client.pem") // Java requires certificate and key in one file
	if err := os.WriteFile(both, fmt.Appendf(key, "\n%s", cert), 0o600); err != nil {
		return nil, err
	}
	return out.With(properties.Property{Key: "ssl.keystore.type", Value: "PEM"}, properties.Property{Key: "ssl.keystore.location", Value: both}), nil
}

func loginProperties(s kafka.SASL, getenv func(string) string, read func(string) ([]byte, error)) (properties.File, error) {
	module := "org.apache.kafka.common.security.scram.ScramLoginModule"
	switch s.Mechanism {
	case "PLAIN":
		module = "org.apache.kafka.common.security.plain.PlainLoginModule"
	case "OAUTHBEARER":
		return nil, errors.New("OAUTHBEARER: write a file of client settings for the tool, and name it with its own flag (--command-config FILE)")
	}
	password, err := secret.Ref(s.Password).Resolve(getenv, read)
	if err != nil {
		return nil, fmt.Errorf("sasl.password: %w", err)
	}
	jaas := fmt.Sprintf(`%s required username="%s" password="%s";`, module, quotedJAAS(s.User), quotedJAAS(password))
	return properties.File{{Key: "sasl.mechanism", Value: s.Mechanism}, {Key: "sasl.jaas.config", Value: jaas}}, nil
}

func quotedJAAS(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
