package receiver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Limits of an answer.
const (
	maxAnswer     = 16 << 10         // bytes of a body that are read
	maxRetryAfter = 10 * time.Minute // longest time that a receiver may demand
)

// web posts JSON to one address.
type web struct {
	c      config.Receiver
	client *http.Client
}

func newWeb(c config.Receiver, encryption *tls.Config) web {
	return web{c: c, client: &http.Client{
		// A redirect may lead to another host, and the credentials and alerts are not for that one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: encryption, ForceAttemptHTTP2: true,
			DialContext: (&net.Dialer{}).DialContext, TLSHandshakeTimeout: c.Timeout,
			DisableCompression: true, MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 2, IdleConnTimeout: 90 * time.Second,
		},
	}}
}

// post sends a payload and returns the beginning of the answer to a successful request.
func (w web) post(ctx context.Context, path string, payload any, s *secrets) ([]byte, error) {
	body, err := encode(payload)
	if err != nil {
		return nil, err
	}
	req, err := w.request(ctx, path, body, s)
	if err != nil {
		return nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, transportError(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status says whether the receiver has the message
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer, nil
	}
	return nil, refusal(resp, answer)
}

// encode returns the JSON of a payload. It keeps <, > and &, which need three times the bytes for pages of HTML.
func encode(payload any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(payload); err != nil {
		return nil, permanent("payload: %v", err)
	}
	return b.Bytes(), nil
}

func (w web) request(ctx context.Context, path string, body []byte, s *secrets) (*http.Request, error) {
	address := w.c.URL
	if w.c.URLSecret != "" {
		var err error
		if address, err = s.resolve("urlSecret", w.c.URLSecret); err != nil {
			return nil, err
		}
		address = strings.TrimSpace(address)
	}
	u, err := config.WebAddress(address)
	if err != nil {
		return nil, permanent("url: %v", err)
	}
	if err := w.c.MayLogIn(u); err != nil {
		return nil, permanent("url: %v", err)
	}
	if w.c.URLSecret != "" {
		s.noteURL(u)
	}
	if path != "" {
		u = u.JoinPath(path)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, permanent("url: not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "smartlb")
	return req, w.authorize(req, s)
}

func (w web) authorize(req *http.Request, s *secrets) error {
	if w.c.User != "" {
		password, err := s.resolve("password", w.c.Password)
		if err != nil {
			return err
		}
		s.note(base64.StdEncoding.EncodeToString([]byte(w.c.User + ":" + password)))
		req.SetBasicAuth(w.c.User, password)
		return nil
	}
	token, err := s.resolve("bearerToken", w.c.BearerToken)
	if err != nil || token == "" {
		return err
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return permanent("bearerToken: it contains a character that no token has")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// transportError describes why there was no answer. The address is left out, because it may be a secret.
func transportError(err error) error {
	var whole *url.Error
	if errors.As(err, &whole) {
		err = whole.Err
	}
	if strings.Contains(err.Error(), "server response headers exceeded") {
		return &Error{Text: "the head of the answer is larger than 64 KiB"}
	}
	return &Error{Text: err.Error() + certificateHint(err)}
}

// refusal describes an answer that is no success.
func refusal(resp *http.Response, answer []byte) error {
	e := &Error{Text: "it answered " + strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)}
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		e.Text, e.Permanent = e.Text+": redirects are not followed; use the final address", true
		return e
	case code == http.StatusTooManyRequests || code >= 500 || code == http.StatusRequestTimeout:
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	default:
		e.Permanent = true
	}
	if text := strings.TrimSpace(string(answer)); text != "" {
		e.Text += ": " + text
	}
	return e
}

func retryAfter(field string) time.Duration {
	seconds, err := strconv.Atoi(field)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 86_400))*time.Second, maxRetryAfter)
}
