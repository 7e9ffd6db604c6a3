package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Cause is the reason why a cluster cannot be used, as far as an error shows it.
type Cause string

// Causes.
const (
	CauseUnknown        Cause = "unknown"
	CauseRefused        Cause = "connection-refused"   // nothing listens
	CauseUnresolved     Cause = "name-not-resolved"    // no such host
	CauseTimeout        Cause = "timeout"              // no answer
	CauseNotTLS         Cause = "listener-without-tls" // the client encrypts, the listener does not
	CauseWantsTLS       Cause = "listener-with-tls"    // the listener encrypts, the client does not
	CauseWantsLogin     Cause = "listener-with-sasl"   // the broker closed the connection: it probably requires SASL or TLS
	CauseLogin          Cause = "login-refused"        // wrong user, password or token
	CauseMechanism      Cause = "mechanism-refused"    // the broker does not offer it
	CauseUnknownCA      Cause = "certificate-unknown-authority"
	CauseCertName       Cause = "certificate-other-name"
	CauseCertTime       Cause = "certificate-expired"
	CauseWantsCert      Cause = "client-certificate-refused" // no certificate, or one that the broker does not trust
	CauseDenied         Cause = "not-authorized"             // by an ACL
	CauseNotKafka       Cause = "not-kafka"                  // another protocol answers
	CauseMissingFile    Cause = "file-missing"               // a local file
	CauseMissingTopic   Cause = "topic-missing"
	CauseNotEnoughAlive Cause = "not-enough-replicas"
)

// Explain returns the cause of an error and a text that says what to do. cfg is the configuration used for dialling.
// The text is empty for CauseUnknown.
func Explain(err error, cfg Config) (Cause, string) {
	var already *ExplainedError
	if errors.As(err, &already) {
		return already.Cause, already.Text
	}
	where := strings.Join(cfg.Brokers, ",")
	if r, text := explainTLS(err, where); r != CauseUnknown {
		return r, text
	}
	var (
		dns     *net.DNSError
		eof     *kgo.ErrFirstReadEOF
		unknown = func() string { return cfg.Security.SASL.User }
	)
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return CauseLogin, fmt.Sprintf("%s refuses the login of %q by %s: the user, the password or the token is wrong, or the user has no credentials for this mechanism", where, unknown(), cfg.Security.SASL.Mechanism)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return CauseMechanism, fmt.Sprintf("%s does not offer %s: choose another with sasl.mechanism", where, cfg.Security.SASL.Mechanism)
	case errors.Is(err, kerr.IllegalSaslState):
		return CauseMechanism, fmt.Sprintf("%s does not expect a login on this listener: leave sasl out or use another port", where)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed),
		errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return CauseDenied, fmt.Sprintf("an ACL does not allow it for %q: deployment/kafka/acls.yaml lists what each role needs", unknown())
	case errors.Is(err, kerr.NotEnoughReplicas), errors.Is(err, kerr.NotEnoughReplicasAfterAppend):
		return CauseNotEnoughAlive, "fewer replicas are in sync than min.insync.replicas asks for: a broker is down or lags"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return CauseMissingTopic, "the topic does not exist: smartlb kafka apply creates those of the catalog"
	case errors.As(err, &dns):
		return CauseUnresolved, fmt.Sprintf("the name %s does not resolve: check the spelling, or the broker's advertised.listeners if you never wrote it", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return CauseRefused, fmt.Sprintf("nothing listens at %s: smartlb kafka start starts a stack here, -b names brokers elsewhere", where)
	case errors.As(err, &eof):
		var handshake *TLSError
		if errors.As(err, &handshake) {
			return CauseNotTLS, fmt.Sprintf("%s closed the connection at once: the listener probably does not speak TLS; leave tls out or use its other port", where)
		}
		return CauseWantsLogin, fmt.Sprintf("%s closed the connection at once: the listener probably wants a login (sasl)%s, or it is no Kafka", where, map[bool]string{false: " or TLS"}[cfg.Security.TLS.On()])
	case strings.Contains(err.Error(), "plaintext connection speaking to a tls endpoint"):
		return CauseWantsTLS, fmt.Sprintf("%s speaks TLS: set tls (enabled, or ca for an authority of your own)", where)
	case strings.Contains(err.Error(), "invalid large response size"):
		return CauseNotKafka, fmt.Sprintf("%s answers, but not as Kafka does: another program has this port", where)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, os.ErrPermission):
		return CauseMissingFile, "a file that the settings name cannot be read"
	case strings.Contains(err.Error(), "unexpected data in oauth response"): // RFC 7628 §3.2.2: the reason, which the library does not return
		return CauseLogin, fmt.Sprintf("%s refuses the token: it is expired, for another audience, or of an issuer that it does not trust", where)
	case errors.Is(err, io.EOF) && cfg.Security.SASL.On():
		return CauseLogin, fmt.Sprintf("%s closed the connection during the login of %q by %s: the user or the password is probably wrong", where, unknown(), cfg.Security.SASL.Mechanism)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return CauseTimeout, fmt.Sprintf("%s does not answer: it hangs, or a firewall drops what is sent", where)
	}
	return CauseUnknown, ""
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// explainTLS explains failed TLS handshakes.
func explainTLS(err error, where string) (Cause, string) {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &authority):
		return CauseUnknownCA, fmt.Sprintf("the certificate of %s is of an authority that is not trusted here: name its file with tls.ca", where)
	case errors.As(err, &name):
		return CauseCertName, fmt.Sprintf("the certificate of %s is for other names (%v): dial one of them, or set tls.serverName", where, name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return CauseCertTime, fmt.Sprintf("the certificate of %s is expired or not yet valid (from %s to %s): renew it, or set the clock right", where,
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &record):
		return CauseNotTLS, fmt.Sprintf("%s does not speak TLS: leave tls out or use its TLS port", where)
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return CauseWantsCert, fmt.Sprintf("%s refuses our certificate, or that we show none: set tls.cert and tls.key to one that it trusts", where)
	}
	return CauseUnknown, ""
}

// ExplainedError is an error with its explanation in front.
type ExplainedError struct {
	Cause Cause
	Text  string
	Err   error
}

func (e *ExplainedError) Error() string { return e.Text + " (" + e.Err.Error() + ")" }
func (e *ExplainedError) Unwrap() error { return e.Err }

// Explained puts the explanation, if there is one, before an error.
func Explained(err error, cfg Config) error {
	var already *ExplainedError
	if err == nil || errors.As(err, &already) {
		return err
	}
	cause, text := Explain(err, cfg)
	if cause == CauseUnknown {
		return err
	}
	return &ExplainedError{cause, text, err}
}

// CheckConnection checks that the settings can be read, a broker can be dialled and the login works. If not, it returns the
// reason. It returns within one dial timeout or when ctx ends. A producer or consumer whose login is refused keeps
// retrying and reports it late; call CheckConnection first.
func CheckConnection(ctx context.Context, cfg Config) error {
	if err := errors.Join(cfg.Validate(), cfg.Ready()); err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	cl, err := kgo.NewClient(append(cfg.Options(), kgo.WithContext(ask), kgo.RequestRetries(0))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.Ping(ask); err != nil {
		if errors.Is(err, kgo.ErrClientClosed) && ask.Err() != nil { // the client can report the end of its context like this
			err = fmt.Errorf("%w: %w", ask.Err(), err)
		}
		return refine(ctx, Explained(err, cfg), cfg)
	}
	return nil
}

// refine finds out which other protocol answers, if an error suggests that it is not Kafka.
func refine(ctx context.Context, err error, cfg Config) error {
	cause, _ := Explain(err, cfg)
	switch cause {
	case CauseTimeout, CauseWantsLogin, CauseNotTLS, CauseNotKafka, CauseUnknown:
	default:
		return err
	}
	for _, address := range cfg.Brokers {
		switch speech := Sniff(ctx, address); {
		case speech == SpeaksHTTP:
			return &ExplainedError{CauseNotKafka, fmt.Sprintf("a web server answers at %s, not Kafka: is it the port of the UI or of Connect?", address), err}
		case speech == SpeaksZooKeeper:
			return &ExplainedError{CauseNotKafka, fmt.Sprintf("ZooKeeper answers at %s, not Kafka: clients talk to Kafka's own port", address), err}
		case speech == SpeaksTLS && !cfg.Security.TLS.On():
			return &ExplainedError{CauseWantsTLS, fmt.Sprintf("%s speaks TLS: set tls (enabled, or ca for an authority of your own)", address), err}
		case speech == SpeaksNothing && cause == CauseTimeout && cfg.Security.TLS.On() && connects(ctx, address):
			return &ExplainedError{CauseNotTLS, fmt.Sprintf("%s does not answer a TLS greeting: leave tls out or use its TLS port", address), err}
		}
	}
	return err
}

func connects(ctx context.Context, address string) bool {
	conn, err := sniffDial(ctx, address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
