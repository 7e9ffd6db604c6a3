package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Issuer is an OpenID Connect provider that identifies users.
type Issuer struct {
	URL          string
	ClientID     string
	ClientSecret string
	RedirectURL  string          // ends in /api/v1/login/oidc/callback
	Scopes       []string        // in addition to openid; default profile, email
	NameClaim    string          // default email, then preferred_username, then sub
	RolesClaim   string          // list or text of groups; default groups
	Roles        map[string]Role // by value of that claim; the highest role counts
	Default      *Role           // role of a user without a value in Roles; nil: login refused
}

// issuerTimeout limits one exchange with the issuer.
const issuerTimeout = 10 * time.Second

// oidcLogin runs the code flow (OpenID Connect Core §3.1, with PKCE, RFC 7636). It contacts the issuer at the first
// login, so that a console can start without the issuer.
type oidcLogin struct {
	cfg    Issuer
	client *http.Client

	flows     *flows
	exchanges chan struct{} // limits concurrent exchanges of codes at the issuer

	mu    sync.Mutex
	found *discovery // nil: the issuer was not contacted, or did not answer
}

// discovery is the metadata of the issuer. Logins that arrive during the discovery wait for its result.
type discovery struct {
	done     chan struct{} // closed when the fields below are set
	oauth    *oauth2.Config
	verifier *oidc.IDTokenVerifier
	err      error
}

// maxExchanges limits the concurrent requests to the issuer that unknown clients can cause.
const maxExchanges = 8

func newOIDC(cfg Issuer) *oidcLogin {
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"profile", "email"}
	}
	if cfg.RolesClaim == "" {
		cfg.RolesClaim = "groups"
	}
	return &oidcLogin{cfg: cfg, client: &http.Client{Timeout: issuerTimeout}, flows: newFlows(), exchanges: make(chan struct{}, maxExchanges)}
}

func (o *oidcLogin) ready(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	o.mu.Lock()
	d, mine := o.found, o.found == nil
	if mine {
		d = &discovery{done: make(chan struct{})}
		o.found = d
	}
	o.mu.Unlock()
	if mine {
		o.discover(ctx, d)
	}
	select {
	case <-d.done:
		return d.oauth, d.verifier, d.err
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("ask the issuer %s: %w", o.cfg.URL, context.Cause(ctx))
	}
}

// discover fetches the metadata of the issuer. If the issuer does not answer, the next login retries.
func (o *oidcLogin) discover(ctx context.Context, d *discovery) {
	defer close(d.done)
	// The provider keeps the context to fetch keys later: it must outlive this call.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.client), o.cfg.URL)
	if err != nil {
		d.err = fmt.Errorf("ask the issuer %s: %w", o.cfg.URL, err)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.found = nil
		return
	}
	d.oauth = &oauth2.Config{
		ClientID: o.cfg.ClientID, ClientSecret: o.cfg.ClientSecret, RedirectURL: o.cfg.RedirectURL,
		Endpoint: provider.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, o.cfg.Scopes...),
	}
	d.verifier = provider.Verifier(&oidc.Config{ClientID: o.cfg.ClientID})
}

// begin returns the issuer's address for the browser and the sealed flow that the browser must bring back.
func (o *oidcLogin) begin(ctx context.Context, back string, now time.Time) (address, sealed string, err error) {
	oauth, _, err := o.ready(ctx)
	if err != nil {
		return "", "", err
	}
	f := flow{State: rand.Text(), Nonce: rand.Text(), PKCE: oauth2.GenerateVerifier(), Back: back, Began: now}
	if sealed, err = o.flows.seal(f); err != nil {
		return "", "", err
	}
	return oauth.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.PKCE)), sealed, nil
}

// errFlow reports a callback of a login that this browser did not begin here.
var errFlow = errors.New("this login was not begun here or took longer than ten minutes: begin again")

// finish converts the result that the browser brought back to an identity.
func (o *oidcLogin) finish(ctx context.Context, f flow, code string) (id Identity, back string, err error) {
	oauth, verifier, err := o.ready(ctx)
	if err != nil {
		return id, "", err
	}
	select {
	case o.exchanges <- struct{}{}:
		defer func() { <-o.exchanges }()
	case <-ctx.Done():
		return id, "", fmt.Errorf("exchange the code at the issuer: %w", context.Cause(ctx))
	}
	ctx = oidc.ClientContext(ctx, o.client)
	tokens, err := oauth.Exchange(ctx, code, oauth2.VerifierOption(f.PKCE))
	if err != nil {
		return id, "", fmt.Errorf("exchange the code at the issuer: %w", err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return id, "", fmt.Errorf("the issuer's token: %w", err)
	}
	if token.Nonce != f.Nonce {
		return id, "", errors.New("the issuer's token is of another login")
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return id, "", fmt.Errorf("the issuer's token: %w", err)
	}
	id, err = o.cfg.identity(claims)
	return id, f.Back, err
}

// identity reads name and role from a token's claims.
func (c Issuer) identity(claims map[string]any) (Identity, error) {
	text := func(name string) string { s, _ := claims[name].(string); return s }
	names := []string{c.NameClaim}
	if c.NameClaim == "" {
		names = []string{"email", "preferred_username", "sub"}
	}
	id := Identity{}
	for _, n := range names {
		if id.User = text(n); id.User != "" {
			break
		}
	}
	if id.User == "" {
		return id, fmt.Errorf("the issuer's token has no user name: none of the claims %v", names)
	}
	var groups []string
	switch v := claims[c.RolesClaim].(type) {
	case string:
		groups = []string{v}
	case []any:
		for _, g := range v {
			if s, ok := g.(string); ok {
				groups = append(groups, s)
			}
		}
	}
	found := false
	for group, role := range c.Roles {
		if slices.Contains(groups, group) {
			id.Role, found = max(id.Role, role), true
		}
	}
	switch {
	case found:
	case c.Default != nil:
		id.Role = *c.Default
	default:
		return id, fmt.Errorf("%s has no role here: none of the values of %s (%v) is configured", id.User, c.RolesClaim, groups)
	}
	return id, nil
}
