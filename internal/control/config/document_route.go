package config

import (
	"net/netip"
	"time"
)

// Route sends matching requests to a service, splits them among several services, or answers them.
type Route struct {
	Name    string   `yaml:"name"`    // name of the route in logs and decisions, unique; required
	Hosts   []string `yaml:"hosts"`   // names in the Host header, without port: `api.example.com`, or `*.example.com` for all names below it; default every host
	Path    Path     `yaml:"path"`    // condition on the path, one key at most; default every path
	Methods []string `yaml:"methods"` // methods in capitals, such as `GET`; default every method
	Headers []Header `yaml:"headers"` // conditions on request headers. All must hold. If a condition has only a name, the header must be present; default none
	// conditions on parameters of the query. All must hold; default none
	QueryParams []QueryParam `yaml:"queryParams"`
	Cookies     []Cookie     `yaml:"cookies"` // conditions on cookies. All must hold; default none
	// names, one of which the client must have sent in its TLS handshake: `api.example.com`, or `*.example.com` for all names
	// below it; default every connection
	ServerNames []string `yaml:"serverNames"`
	// networks, one of which must contain the client's address, at most 1000. The client is the peer, or the address that a
	// proxy in `proxy.trustedProxies` or a PROXY header names; default every client
	Clients   []netip.Prefix `yaml:"clients"`
	Listeners []string       `yaml:"listeners"` // names of listeners, one of which must have got the request; default every listener
	Hours     []Hours        `yaml:"hours"`     // at most 100 times of the week, one of which it must be; default always
	Service   string         `yaml:"service"`   // id of the service that gets the requests. One of `service`, `split`, `redirect` and `response` is required; default none
	Split     []Split        `yaml:"split"`     // services that share the requests, instead of `service`. Each request is drawn by weight; default none
	// longest time from the end of the request to the end of the response, at least 1ms. After that time the client gets
	// 504, or the response is cut. A tunnel (WebSocket) is not limited by it; default none
	Timeout time.Duration `yaml:"timeout"`
	// longest time without bytes of a response body. `0s`: no limit. Without this key, `proxy.timeouts.stream` applies, and
	// there is no limit for gRPC and for responses of the type text/event-stream, which are silent while nothing happens;
	// default by the type of the response
	StreamTimeout *time.Duration `yaml:"streamTimeout"`
	Retry         *Retry         `yaml:"retry"`  // when a request is sent again to another instance. All retries together stay within `services[].retryBudget`
	Hedge         *Hedge         `yaml:"hedge"`  // send a request that an instance does not answer in time to a second instance too; default none
	Mirror        *Mirror        `yaml:"mirror"` // send copies of requests to another service too; default none
	HashOn        string         `yaml:"hashOn"` // key of the policies ring_hash and maglev: `client` (its address), `path`, `header:NAME`, `cookie:NAME` or `query:NAME`. A request without that header, cookie or parameter uses the client. Only if a service of the route has one of these policies; default client
	// which requests wait longer in the queue of `services[].concurrency` and are refused first while memory is short
	// (`proxy.limits.memoryBytes`): `normal`, `low`, or `header:NAME` for low priority of the requests whose header NAME is
	// `low`. In a full queue, requests of normal priority take the places of those of low priority; default normal
	Priority string `yaml:"priority"`
	// changes of the request for the instance, after the route was chosen; default none
	RequestHeaders HeaderEdits `yaml:"requestHeaders"`
	// changes of every response of the route: those of instances, redirects, fixed responses, and errors of the proxy; default none
	ResponseHeaders HeaderEdits `yaml:"responseHeaders"`
	Access          *Access     `yaml:"access"`    // clients that may use the route; default all
	BasicAuth       *BasicAuth  `yaml:"basicAuth"` // names and passwords that requests need; default none
	JWT             *JWT        `yaml:"jwt"`       // token that requests need; default none
	// authentication service that is asked about each request, after the other checks; default none
	ForwardAuth *ForwardAuth `yaml:"forwardAuth"`
	CORS        *CORS        `yaml:"cors"` // pages of other origins that may use the route; default the headers of the instances
	// compress responses of instances for clients that accept it; default as the instances send them
	Compression *Compression `yaml:"compression"`
	Rewrite     *Rewrite     `yaml:"rewrite"`  // host and path for the instance. Routing, the access log and X-Forwarded-Host keep those of the client; default none
	Redirect    *Redirect    `yaml:"redirect"` // answer with another URL, instead of asking an instance; default none
	Response    *Response    `yaml:"response"` // answer with a fixed response, instead of asking an instance; default none
	Fault       *Fault       `yaml:"fault"`    // errors and delays for tests; default none
	// limits of the requests of the route, at most 8. They count before those of the service, see docs/routes.md; default none
	RateLimits []RateLimit `yaml:"rateLimits"`
}

// RateLimit limits how many requests pass in a time. A request above the limit gets 429.
type RateLimit struct {
	Name  string `yaml:"name"`  // name of the limit in metrics and in the reply, unique in its route or service; required
	Rate  Rate   `yaml:"rate"`  // requests per second, minute or hour: `100/s`, `30/m`, `1000/h`. The number is 1 to 1000000; required
	Burst int    `yaml:"burst"` // requests that may come at once after a pause, 1 to 1000000. At the rate, they come back within 720h; default `rate` without its unit
	// which requests share the limit: `client` (address of the client, an IPv6 address by its /64 network), `header:NAME` or
	// `cookie:NAME`. A request without the header or cookie counts for its client's address; default all requests of the route or service
	By string `yaml:"by"`
	// one of `node`, `fleet`: each node allows the whole rate, or all nodes together allow it. With `fleet`, each node has the
	// share of rate and burst that follows its traffic, see docs/routes.md; default node
	Scope   string `yaml:"scope"`
	DryRun  bool   `yaml:"dryRun"`  // count the requests above the limit, and refuse none; default false
	MaxKeys int    `yaml:"maxKeys"` // clients, headers or cookies that are remembered, 1000 to 10000000, 16 bytes each. All limits of a configuration together have at most 20000000. Only with `by`; default 50000
}

// HeaderEdits change the headers of a request or of a response.
type HeaderEdits struct {
	Set    map[string]string `yaml:"set"`    // headers to write instead of those with the same name. Values may have variables such as `${client}`, see docs/routes.md; default none
	Add    map[string]string `yaml:"add"`    // headers to write in addition to those with the same name; default none
	Remove []string          `yaml:"remove"` // names of headers to remove; default none
}

// Rewrite changes host and path of a request for the instance.
type Rewrite struct {
	Host string `yaml:"host"` // Host header for the instance, with a port if it needs one; default that of the client
	PathEdit
}

// PathEdit makes a path from the path of a request. At most one of path, prefix and regex is set.
type PathEdit struct {
	Path    string `yaml:"path"`    // whole path; default that of the client
	Prefix  string `yaml:"prefix"`  // path that replaces `path.prefix` of the route. `/` removes the prefix; default none
	Regex   string `yaml:"regex"`   // regular expression (RE2) for the whole path. A path that it does not match stays as it is; default none
	Replace string `yaml:"replace"` // path that replaces what `regex` matches. `$1` or `${1}` is the first group, `$$` a dollar sign; default none
}

// Redirect answers with another URL.
type Redirect struct {
	Scheme string `yaml:"scheme"` // one of `http`, `https`; default that of the request
	Host   string `yaml:"host"`   // host of the URL, without port; default that of the request
	Port   int    `yaml:"port"`   // port of the URL, 1 to 65535. Without it, the URL has the port of the request, or that of its scheme if `scheme` or `host` is set; default none
	PathEdit
	Code int `yaml:"code"` // status of the response, one of 301, 302, 303, 307, 308; default 302
}

// Response is a response that the proxy sends itself.
type Response struct {
	Status  int               `yaml:"status"`  // status of the response, 200 to 599; required
	Headers map[string]string `yaml:"headers"` // headers of the response, which may have variables. Without Content-Type, a body is text/plain; default none
	Body    string            `yaml:"body"`    // body of the response, at most 65536 bytes; default none
	File    string            `yaml:"file"`    // file with the body, at most 1 MiB, below the folder `proxy.pages` of each node. It is read when the configuration is applied; default none
}

// Path sets one of three ways to compare the path.
type Path struct {
	Prefix string `yaml:"prefix"` // first path elements: `/users` matches /users and /users/1, not /usersx; default /
	Exact  string `yaml:"exact"`  // whole path; default none
	Regex  string `yaml:"regex"`  // regular expression (RE2) for the whole path, at most 4096 bytes; default none
}

// Header is a condition on a request header. If only the name is set, the header must be present.
type Header struct {
	Name  string `yaml:"name"`  // name of the header, in any case; required
	Exact string `yaml:"exact"` // whole value; default none
	Regex string `yaml:"regex"` // regular expression (RE2) for the whole value, instead of `exact`; default none
}

// QueryParam is a condition on a parameter of the query. If only the name is set, the parameter must be present.
type QueryParam struct {
	Name  string `yaml:"name"`  // name of the parameter, without escapes, with regard to case. If it occurs more than once, the first value counts; required
	Exact string `yaml:"exact"` // whole value, without escapes; default none
	Regex string `yaml:"regex"` // regular expression (RE2) for the whole value, instead of `exact`; default none
}

// Cookie is a condition on a cookie. If only the name is set, the cookie must be present.
type Cookie struct {
	Name  string `yaml:"name"`  // name of the cookie, with regard to case; required
	Exact string `yaml:"exact"` // whole value; default none
	Regex string `yaml:"regex"` // regular expression (RE2) for the whole value, instead of `exact`; default none
}

// Split is one part of a route's traffic.
type Split struct {
	Service string `yaml:"service"` // id of the service; required
	Weight  int    `yaml:"weight"`  // part of the requests, relative to the other weights, 0 to 1000000. At least one weight must be above 0; default 0
}
