package config

import (
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
)

// Listener is an address where clients connect.
type Listener struct {
	Name string `yaml:"name"` // name of the listener in logs and metrics, unique; required
	// address to listen on. `:8080` means port 8080 of all interfaces, `unix:/run/smartlb/web.sock` a Unix socket. The flag
	// replaces it on one node: `--listen NAME=ADDRESS`; flag --listen; required
	Address string `yaml:"address"`
	Mode    string `yaml:"mode"` // permissions of the file of a Unix socket, three octal digits such as `660`. Clients need the permission to write; default given by the umask of the node

	TLS           *ListenerTLS   `yaml:"tls"`           // encryption of connections from clients; default plain HTTP
	ProxyProtocol *ProxyProtocol `yaml:"proxyProtocol"` // balancers in front of the listener that name the client of a connection by the PROXY protocol, version 1 or 2; default none, a PROXY header gets 400

	RedirectToHTTPS bool `yaml:"redirectToHttps"` // answer every request with a redirect to its https URL. No request reaches an instance; default false
	HTTPSPort       int  `yaml:"httpsPort"`       // port in the URL of a redirect, 1 to 65535. Without it the URL has no port, which means 443; default none

	// other processes on this machine may listen on the same address, and the kernel shares new connections among them. A
	// change needs a restart; default false
	ReusePort bool             `yaml:"reusePort"`
	Backlog   int              `yaml:"backlog"`   // connections that wait to be accepted, 0 to 65535. The system may allow fewer (net.core.somaxconn). 0: what the system allows; default 0
	KeepAlive time.Duration    `yaml:"keepAlive"` // silence after which TCP asks whether a client is still there, 3s to 24h. After a third of it, TCP asks again, three times in all. Not for Unix sockets; default 15s
	HTTP1Only bool             `yaml:"http1Only"` // clients cannot use HTTP/2, neither inside TLS nor without; default false
	Limits    ListenerLimits   `yaml:"limits"`    // limits of this listener, in addition to or instead of those of `proxy.limits`
	Timeouts  ListenerTimeouts `yaml:"timeouts"`  // waiting times of this listener instead of those of `proxy.timeouts`, each 100ms to 720h

	EncodedCharacters string `yaml:"encodedCharacters"` // one of `keep`, `reject`: treatment of %2F, %5C and encoded control characters in a path. With `reject` the client gets 400; default keep
	UnderscoreHeaders string `yaml:"underscoreHeaders"` // one of `drop`, `keep`, `reject`: treatment of request headers with `_` in their name. With `reject` the client gets 400; default drop
	RequestID         string `yaml:"requestId"`         // one of `trusted`, `keep`, `overwrite`: whose X-Request-Id the proxy keeps, that of peers in `proxy.trustedProxies`, of all clients, or of no client; default trusted
}

// ListenerLimits bound what the clients of one listener can use.
type ListenerLimits struct {
	BodyBytes   *int `yaml:"bodyBytes"`   // bytes of a request body, 0 to 1125899906842624. 0: unlimited; default `proxy.limits.bodyBytes`
	Connections int  `yaml:"connections"` // connections of clients, 0 to 10000000. A connection above the limit gets 503, with TLS it is closed. 0: only `proxy.limits.connections` counts; default 0
}

// ListenerTimeouts limit how long the proxy waits for the clients of one listener. Zero values mean those of the proxy.
type ListenerTimeouts struct {
	Idle       time.Duration  `yaml:"idle"`       // client connection between two requests; default `proxy.timeouts.idle`
	Head       time.Duration  `yaml:"head"`       // whole request head; default `proxy.timeouts.head`
	Body       time.Duration  `yaml:"body"`       // no progress in a request body, or a client that does not read the response; default `proxy.timeouts.body`
	Upload     *time.Duration `yaml:"upload"`     // whole request body. 0s: no limit; default `proxy.timeouts.upload`
	HalfClosed time.Duration  `yaml:"halfClosed"` // time to send the response to a client that closed its sending side; default `proxy.timeouts.halfClosed`
	Tunnel     time.Duration  `yaml:"tunnel"`     // no bytes in either direction of a tunnel; default `proxy.timeouts.tunnel`
}

// ProxyProtocol says which connections of a listener begin with a PROXY header.
type ProxyProtocol struct {
	// networks of these balancers. A connection from them must begin with a PROXY header, otherwise it is closed. The
	// address in the header then counts as the client's address everywhere, also for `proxy.trustedProxies`. Connections
	// from other addresses have no header; required
	From []netip.Prefix `yaml:"from"`
}

// ListenerTLS is the encryption of a listener. The files are read on each node.
type ListenerTLS struct {
	// at most 1000 certificates with their keys, as files on each node. A client gets the certificate of the server name that
	// it asks for, otherwise the first one. A changed pair is served within 2 s, without a restart. Either `certificates` or
	// `acme` is required; default none
	Certificates []Files `yaml:"certificates"`
	ACME         *ACME   `yaml:"acme"`       // certificates that each node obtains from an ACME authority and renews, see docs/tls.md; default none
	MinVersion   string  `yaml:"minVersion"` // oldest version of TLS for clients, one of `1.2`, `1.3`; default 1.2

	// file with 1 to 16 keys of session tickets that all nodes share. A changed file is used within 2 s. The reference of its
	// format is docs/tls.md; default keys of each node
	TicketKeys string `yaml:"ticketKeys"`

	Clients ClientCertificates `yaml:"clientCertificates"` // certificates of clients; default none are requested

	// max-age of Strict-Transport-Security in every response of the listener, in whole seconds. `0s` tells browsers to
	// forget it; default the instance's own field
	HSTS           *time.Duration `yaml:"hsts"`
	HSTSSubDomains bool           `yaml:"hstsIncludeSubDomains"` // the same for the names below the host; default false
}

// ACME says for which names each node obtains certificates, and from which authority (RFC 8555).
type ACME struct {
	Names       []string `yaml:"names"`       // 1 to 100 names, each of which gets a certificate of its own: `shop.example.com`. Wildcards are not supported; required
	TermsAgreed bool     `yaml:"termsAgreed"` // must be true: the operator accepts the terms of service of the authority; required
	Email       string   `yaml:"email"`       // address at which the authority reaches the operator. It is sent when the account is created; default none
	Directory   string   `yaml:"directory"`   // https:// address of the authority's directory; default https://acme-v02.api.letsencrypt.org/directory
	// PEM file with the certificates of the authorities that signed the directory's own certificate, for a private ACME
	// authority; default the authorities of the system
	CA              string           `yaml:"ca"`
	KeyType         string           `yaml:"keyType"`         // key of the certificates, one of `p256`, `rsa2048`; default p256
	Challenge       string           `yaml:"challenge"`       // how the authority verifies a name: `tls-alpn-01` on port 443, `http-01` on port 80; default both in turn, tls-alpn-01 first
	ExternalAccount *ExternalAccount `yaml:"externalAccount"` // account that exists at the authority, if the authority requires one; default none
}

// ExternalAccount is an account at an authority to which the node's ACME account is bound (RFC 8555 §7.3.4).
type ExternalAccount struct {
	ID  string     `yaml:"id"`  // id of the account; required
	Key secret.Ref `yaml:"key"` // key of the account in base64url, as the authority shows it; required
}

// ClientCertificates says which certificates a listener requests from clients, and what instances get to know of them.
type ClientCertificates struct {
	// one of `off`, `request`, `require`. With `request` a client may have no certificate. A certificate that a client
	// sends must be valid; default off
	Mode              string `yaml:"mode"`
	CA                string `yaml:"ca"`                // PEM file with the certificates of the authorities of clients; default none
	SubjectHeader     string `yaml:"subjectHeader"`     // request header that tells the instance the subject, as RFC 2253 writes it; default none
	FingerprintHeader string `yaml:"fingerprintHeader"` // request header that tells the instance the SHA-256 of the certificate, in hexadecimal digits; default none
}
