package kafkacmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/kafka"
)

// toolGrace is the time that a tool has to stop after Ctrl-C.
const toolGrace = 10 * time.Second

// clientProperties writes TLS and login settings to a file in work, in the format of Java's client. Only this user can
// read the file. For a cluster without TLS and login, it returns an empty path.
func clientProperties(s kafka.Security, getenv func(string) string, read func(string) ([]byte, error), work string) (string, error) {
	if !s.TLS.On() && !s.SASL.On() {
		return "", nil
	}
	lines := []string{"security.protocol=" + protocolOf(s)}
	if s.TLS.On() {
		tls, err := tlsProperties(s.TLS, read, work)
		if err != nil {
			return "", err
		}
		lines = append(lines, tls...)
	}
	if s.SASL.On() {
		login, err := loginProperties(s.SASL, getenv, read)
		if err != nil {
			return "", err
		}
		lines = append(lines, login...)
	}
	path := filepath.Join(work, "client.properties")
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
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

func tlsProperties(t kafka.TLS, read func(string) ([]byte, error), work string) ([]string, error) {
	switch {
	case t.Insecure:
		return nil, errors.New("tls.insecure: Java clients cannot accept every certificate; name the CA with tls.ca")
	case t.ServerName != "":
		return nil, errors.New("tls.serverName: Java clients verify the host name that they connect to; use host names that are in the brokers' certificates")
	}
	var lines []string
	if t.CA != "" {
		lines = append(lines, "ssl.truststore.type=PEM", "ssl.truststore.location="+escaped(t.CA))
	}
	if t.Cert == "" {
		return lines, nil
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
	return append(lines, "ssl.keystore.type=PEM", "ssl.keystore.location="+escaped(both)), nil
}

func loginProperties(s kafka.SASL, getenv func(string) string, read func(string) ([]byte, error)) ([]string, error) {
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
	return []string{"sasl.mechanism=" + s.Mechanism, "sasl.jaas.config=" + escaped(jaas)}, nil
}

func quotedJAAS(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

// escaped escapes a value for a .properties file; characters beyond ASCII become \uXXXX.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r > 126 && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
