package kafka

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// tokens gets OAuth 2.0 access tokens: from a file, or by client credentials (RFC 6749 §4.4). A requested token is used
// until a tenth of its lifetime remains. It is safe for concurrent use.
type tokens struct {
	cfg Config

	turn  chan struct{} // holds one item: the goroutine that took it may use the fields below and request a token
	have  string
	until time.Time
}

func newTokens(cfg Config) *tokens {
	t := &tokens{cfg: cfg, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

// maxTokenReply bounds the size of a token endpoint's response.
const maxTokenReply = 1 << 20

func (t *tokens) token(ctx context.Context, now time.Time) (string, error) {
	s := t.cfg.Security.SASL
	if s.TokenFile != "" {
		raw, err := os.ReadFile(s.TokenFile)
		if err != nil {
			return "", fmt.Errorf("sasl.tokenFile: %w", err)
		}
		return strings.TrimSpace(string(raw)), nil
	}
	select {
	case <-t.turn:
	case <-ctx.Done(): // another goroutine's request takes too long
		return "", fmt.Errorf("token from %s: %w", s.TokenURL, context.Cause(ctx))
	}
	defer func() { t.turn <- struct{}{} }()
	if t.have != "" && now.Before(t.until) {
		return t.have, nil
	}
	token, life, err := t.ask(ctx)
	if err != nil {
		return "", fmt.Errorf("token from %s: %w", s.TokenURL, err)
	}
	t.have, t.until = token, now.Add(life-life/10)
	return token, nil
}

func (t *tokens) ask(ctx context.Context) (token string, life time.Duration, err error) {
	s := t.cfg.Security.SASL
	ctx, cancel := context.WithTimeout(ctx, t.cfg.DialTimeout)
	defer cancel()
	key, err := t.cfg.resolve(s.ClientSecret)
	if err != nil {
		return "", 0, fmt.Errorf("sasl.clientSecret: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(s.Scopes) > 0 {
		form.Set("scope", strings.Join(s.Scopes, " "))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(s.ClientID), url.QueryEscape(key)) // RFC 6749 §2.3.1
	client, err := t.client(req.URL.Hostname())
	if err != nil {
		return "", 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenReply))
	if err != nil {
		return "", 0, err
	}
	var reply struct {
		Token       string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
		Error       string  `json:"error"`
		Description string  `json:"error_description"`
	}
	parsed := json.Unmarshal(raw, &reply)
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", 0, fmt.Errorf("%s %s %s", resp.Status, reply.Error, reply.Description)
	case parsed != nil || reply.Token == "":
		return "", 0, fmt.Errorf("the answer holds no access_token")
	}
	life = time.Duration(reply.ExpiresIn * float64(time.Second))
	return reply.Token, min(max(life, 0), 24*time.Hour), nil
}

// client trusts the same authorities for the token endpoint as for brokers. It follows no redirects, so the secret goes
// to no other host.
func (t *tokens) client(host string) (*http.Client, error) {
	var settings *tls.Config
	if t.cfg.Security.TLS.On() {
		var err error
		if settings, err = (TLS{CA: t.cfg.Security.TLS.CA, Insecure: t.cfg.Security.TLS.Insecure}).config(host); err != nil {
			return nil, err
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
