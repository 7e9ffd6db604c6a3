package acme

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	protocol "golang.org/x/crypto/acme"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

// turns are the types of challenges, in the order in which they are tried. The listener with TLS exists in any case, and
// a plain listener on port 80 may not.
var turns = []string{certs.TLSALPN01, certs.HTTP01}

// issued is a certificate with its chain, and its key.
type issued struct {
	leaf  *x509.Certificate
	chain [][]byte
	key   crypto.Signer
}

// presenter makes the proxies answer a challenge.
type presenter interface {
	// present returns when the authority may ask.
	present(ctx context.Context, c certs.Challenge) error
	// withdraw ends the challenge.
	withdraw(ctx context.Context, c certs.Challenge)
}

// order obtains one certificate. ctx bounds it as a whole. An error contains the authority's own words.
func (s store) order(ctx context.Context, w Want, challenge string, p presenter) (issued, error) {
	client, err := w.Authority.client()
	if err != nil {
		return issued{}, err
	}
	defer client.HTTPClient.CloseIdleConnections()
	if client.Key, err = s.accountKey(w.Authority); err != nil {
		return issued{}, fmt.Errorf("key of the account: %w", err)
	}
	if err := register(ctx, client, w.Authority); err != nil {
		return issued{}, fmt.Errorf("register the account: %w", err)
	}
	o, err := client.AuthorizeOrder(ctx, protocol.DomainIDs(w.Name))
	if err != nil {
		return issued{}, fmt.Errorf("order: %w", err)
	}
	if len(o.AuthzURLs) != 1 {
		return issued{}, fmt.Errorf("the order for one name has %d authorizations", len(o.AuthzURLs))
	}
	if err := authorize(ctx, client, o.AuthzURLs[0], w.Name, challenge, p); err != nil {
		return issued{}, err
	}
	ready, err := client.WaitOrder(ctx, o.URI)
	if err != nil {
		return issued{}, fmt.Errorf("wait for the order: %w", err)
	}
	return finalize(ctx, client, ready, w)
}

// register creates the account, or finds it.
func register(ctx context.Context, client *protocol.Client, a Authority) error {
	account := &protocol.Account{}
	if a.Email != "" {
		account.Contact = []string{"mailto:" + a.Email}
	}
	var err error
	if account.ExternalAccountBinding, err = a.external(); err != nil {
		return err
	}
	_, err = client.Register(ctx, account, protocol.AcceptTOS) // the configuration has termsAgreed
	if errors.Is(err, protocol.ErrAccountAlreadyExists) {
		return nil
	}
	return err
}

// token accepts what RFC 8555 §8.1 permits. It becomes part of a path.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// authorize proves that this proxy serves the name.
func authorize(ctx context.Context, client *protocol.Client, url, name, kind string, p presenter) error {
	z, err := client.GetAuthorization(ctx, url)
	switch {
	case err != nil:
		return fmt.Errorf("authorization: %w", err)
	case z.Status == protocol.StatusValid: // the authority remembers an earlier proof
		return nil
	case z.Identifier.Value != name:
		return fmt.Errorf("the authorization is for %.200q", z.Identifier.Value)
	}
	i := slices.IndexFunc(z.Challenges, func(c *protocol.Challenge) bool { return c.Type == kind })
	if i < 0 {
		return fmt.Errorf("the authority does not offer the challenge %s", kind)
	}
	c := z.Challenges[i]
	if !token.MatchString(c.Token) {
		return fmt.Errorf("the challenge has the token %.200q: want letters, digits, dashes and underscores", c.Token)
	}
	answer, err := client.HTTP01ChallengeResponse(c.Token) // the key authorization, which is the same for both types
	if err != nil {
		return err
	}
	mine := certs.Challenge{Name: name, Type: kind, Token: c.Token, KeyAuthorization: answer}
	defer p.withdraw(ctx, mine)
	if err := p.present(ctx, mine); err != nil {
		return err
	}
	if _, err := client.Accept(ctx, c); err != nil {
		return fmt.Errorf("challenge %s: %w", kind, err)
	}
	if _, err := client.WaitAuthorization(ctx, z.URI); err != nil {
		return fmt.Errorf("challenge %s: %w", kind, err)
	}
	return nil
}

// finalize makes a key and requests its certificate.
func finalize(ctx context.Context, client *protocol.Client, o *protocol.Order, w Want) (out issued, err error) {
	if out.key, err = newKey(w.KeyType); err != nil {
		return issued{}, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{w.Name}}, out.key)
	if err != nil {
		return issued{}, err
	}
	if out.chain, _, err = client.CreateCertFromOrder(ctx, o, request, true); err != nil {
		return issued{}, fmt.Errorf("request the certificate: %w", err)
	}
	if err := out.check(w.Name, time.Now()); err != nil {
		return issued{}, fmt.Errorf("the authority issued a certificate that is not usable: %w", err)
	}
	return out, nil
}

// check parses the certificate and refuses one that clients would refuse, or that belongs to another key.
func (i *issued) check(name string, now time.Time) (err error) {
	if i.leaf, err = x509.ParseCertificate(i.chain[0]); err != nil {
		return err
	}
	public, ok := i.key.Public().(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !ok || !public.Equal(i.leaf.PublicKey):
		return errors.New("it belongs to another key")
	case !now.Before(i.leaf.NotAfter):
		return fmt.Errorf("it expired on %s", i.leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return i.leaf.VerifyHostname(name)
}

// maxReason is the length of an error of an authority in logs and alerts, in bytes.
const maxReason = 1 << 10

// reason returns an error without the library's prefix, on one line and short.
func reason(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(strings.ReplaceAll(text, ": acme: ", ": "), "acme: ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "..."
	}
	return errors.New(text)
}

// retryAfter returns the wait that an authority requests with an error about a rate limit; 0: none.
func retryAfter(err error) time.Duration {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return 0
	}
	d, _ := protocol.RateLimit(e)
	return d
}
