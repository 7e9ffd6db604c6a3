package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/smartlb/smartlb/bench/rig"
)

// contender is one proxy under measurement.
type contender struct {
	Name string
	URL  string
	*rig.Process
}

// stage is everything that runs during a benchmark.
type stage struct {
	dir, smartlb string
	mode         mode // zero: kept connections of HTTP/1.1
	roots        *x509.CertPool
	instances    []string // addresses of the origin
	broker       string   // address of the Kafka broker
	admin        string   // of the smartlb proxy
	origin       *rig.Process
	kafka        *rig.Process
	contenders   []contender
	sink         *net.UDPConn // HAProxy's log goes here
	all          []*rig.Process
}

func (s *stage) start(name, program string, args ...string) (*rig.Process, error) {
	p, err := rig.Start(s.dir, name, program, args...)
	if err == nil {
		s.all = append(s.all, p)
	}
	return p, err
}

// Close stops what was started.
func (s *stage) Close() {
	for i := len(s.all) - 1; i >= 0; i-- {
		s.all[i].Stop()
	}
	if s.sink != nil {
		_ = s.sink.Close()
	}
}

func (s *stage) write(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// setup starts origin, broker and the three proxies, each with an access log,
// forwarding headers, a request id and kept connections on both sides.
func (s *stage) setup(ctx context.Context) error {
	addrs, err := rig.FreeAddrs(9)
	if err != nil {
		return err
	}
	s.instances, s.broker, s.admin = addrs[:4], addrs[4], addrs[5]
	if err := s.files(); err != nil {
		return err
	}
	origin := s.startOrigin
	if s.mode.grpc {
		origin = s.startServers
	}
	for _, step := range []func(context.Context, string) error{origin, s.startBroker} {
		if err := step(ctx, ""); err != nil {
			return err
		}
	}
	contenders := []func(context.Context, string) error{s.startSmartlb, s.startHAProxy, s.startNginx}
	if s.mode.policies {
		contenders = []func(context.Context, string) error{s.startPolicies, s.startSmartlb}
	}
	for i, step := range contenders {
		if err := step(ctx, addrs[6+i]); err != nil {
			return err
		}
	}
	return nil
}

const originConf = `worker_processes 1; daemon off; pid %[1]s/origin.pid; error_log %[1]s/origin.err;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 1h; %[2]s
  server { %[3]s location / { default_type text/plain; return 200 "sixty-three bytes of body, as much as a small answer of an API.\n"; } location = /64k { root %[1]s; } location = /1m { root %[1]s; } }
}
`

// temporary paths that nginx wants to create, inside our own directory.
const nginxTemp = `client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;`

func (s *stage) startOrigin(ctx context.Context, _ string) error {
	listen := ""
	for _, a := range s.instances {
		listen += "listen " + a + "; "
	}
	conf, err := s.write("origin.conf", fmt.Sprintf(originConf, s.dir, fmt.Sprintf(nginxTemp, s.dir), listen))
	if err != nil {
		return err
	}
	if s.origin, err = s.start("origin", "nginx", "-c", conf, "-e", filepath.Join(s.dir, "origin.err")); err != nil {
		return err
	}
	return s.origin.AwaitOK(ctx, "http://"+s.instances[3]+"/")
}

func (s *stage) startBroker(ctx context.Context, _ string) (err error) {
	s.kafka, err = s.start("broker", s.smartlb, "run", "--roles", "broker", "--data", filepath.Join(s.dir, "data"),
		"--broker-listen", s.broker, "--broker-internal", "", "--admin", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return s.kafka.AwaitPort(ctx, s.broker)
}

func (s *stage) add(ctx context.Context, name, addr string, p *rig.Process, err error) error {
	if err != nil {
		return err
	}
	scheme := "http://"
	if s.mode.tls {
		scheme = "https://"
	}
	c := contender{Name: name, URL: scheme + addr + cmp.Or(s.mode.path, "/"), Process: p}
	s.contenders = append(s.contenders, c)
	if s.mode.conns > 0 {
		return p.AwaitPort(ctx, addr)
	}
	return p.AwaitOK(ctx, c.URL)
}

func (s *stage) startSmartlb(ctx context.Context, addr string) error {
	args := []string{"proxy", "--from", addr, "--to", strings.Join(s.instances, ","), "--policy", "adaptive",
		"--kafka", s.broker, "--access-log", filepath.Join(s.dir, "smartlb-access.log"), "--admin", s.admin}
	if s.mode.tls {
		args = append(args, "--tls-cert", filepath.Join(s.dir, "cert.pem"), "--tls-key", filepath.Join(s.dir, "key.pem"))
	}
	if s.mode.grpc {
		args = append(args, "--upstream-protocol", "h2c", "--health-interval", "0")
	}
	p, err := s.start("smartlb", s.smartlb, args...)
	return s.add(ctx, "smartlb", addr, p, err)
}

// policiesConf has a typical set of policies: an edit of the request, one of the response, a rate limit for each client that
// none reaches. The access log and the histograms are those of the plain run.
const policiesConf = `listeners: [{name: web, address: %q}]
routes:
  - name: all
    service: out
    requestHeaders: {set: {X-Client: "${client}"}}
    responseHeaders: {set: {X-Frame-Options: DENY}}
    rateLimits: [{name: clients, rate: 1000000/s, by: client}]
services:
  - id: out
    healthCheck: {type: tcp, interval: 2s, timeout: 1s}
    instances: [%s]
`

func (s *stage) startPolicies(ctx context.Context, addr string) error {
	instances := make([]string, len(s.instances))
	for i, a := range s.instances {
		instances[i] = fmt.Sprintf("{id: i%d, address: %q}", i, a)
	}
	conf, err := s.write("policies.yaml", fmt.Sprintf(policiesConf, addr, strings.Join(instances, ", ")))
	if err != nil {
		return err
	}
	p, err := s.start("policies", s.smartlb, "run", "--roles", "proxy", "--config", conf, "--kafka", s.broker,
		"--access-log", filepath.Join(s.dir, "policies-access.log"), "--admin", "127.0.0.1:0", "--data", filepath.Join(s.dir, "policies"))
	return s.add(ctx, "smartlb with policies", addr, p, err)
}

// only returns text if what it belongs to is measured.
func only(measured bool, text string) string {
	if measured {
		return text
	}
	return ""
}

const haproxyConf = `global
  nbthread 2
  maxconn 12000
  no strict-limits
  log %[1]s local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  option http-keep-alive
  http-reuse always
  timeout connect 1s
  timeout client 10m
  timeout server 60s
  unique-id-format %%{+X}o%%ci%%cp%%fi%%fp%%Ts%%rt%%pid
  unique-id-header X-Request-ID
frontend in
  bind %[2]s%[4]s
  default_backend out
backend out
  balance leastconn
%[3]s`

func (s *stage) startHAProxy(ctx context.Context, addr string) (err error) {
	if s.sink, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return err
	}
	go func() { // ends when Close closes the socket
		for b := make([]byte, 64<<10); ; {
			if _, err := s.sink.Read(b); err != nil {
				return
			}
		}
	}()
	servers := ""
	for i, a := range s.instances {
		servers += fmt.Sprintf("  server s%d %s check inter 2s%s\n", i, a, only(s.mode.grpc, " proto h2"))
	}
	conf, err := s.write("haproxy.cfg", fmt.Sprintf(haproxyConf, s.sink.LocalAddr(), addr, servers, only(s.mode.http2, " proto h2")+only(s.mode.tls, " ssl crt "+filepath.Join(s.dir, "both.pem")+" ssl-min-ver TLSv1.3 alpn http/1.1")))
	if err != nil {
		return err
	}
	p, err := s.start("haproxy", "haproxy", "-db", "-f", conf)
	return s.add(ctx, "HAProxy", addr, p, err)
}

const nginxConf = `worker_processes 2; daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx.err;
events { worker_connections 12000; }
http {
  log_format j escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","uri":"$request_uri","status":$status,"bytes":$body_bytes_sent,"duration":$request_time,"upstream":"$upstream_addr","upstream_time":"$upstream_response_time","id":"$request_id"}';
  access_log %[1]s/nginx-access.log j buffer=64k flush=1s;
  keepalive_requests 1000000000; keepalive_timeout 1h; %[2]s
  upstream out { least_conn; %[3]s keepalive 512; keepalive_requests 1000000000; }
  server {
    listen %[4]s%[5]s;
    location / {
%[6]s
    }
  }
}
`

func (s *stage) startNginx(ctx context.Context, addr string) error {
	servers := ""
	for _, a := range s.instances {
		servers += "server " + a + "; "
	}
	to := `      proxy_pass http://out; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-ID $request_id;`
	if s.mode.grpc {
		to = `      grpc_pass grpc://out; grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for; grpc_set_header X-Request-ID $request_id;`
	}
	kind := only(s.mode.http2, " http2")
	if s.mode.tls {
		kind = fmt.Sprintf(" ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; ssl_protocols TLSv1.3; ssl_session_cache shared:s:10m", s.dir)
	}
	conf, err := s.write("nginx.conf", fmt.Sprintf(nginxConf, s.dir, fmt.Sprintf(nginxTemp, s.dir), servers, addr, kind, to))
	if err != nil {
		return err
	}
	p, err := s.start("nginx", "nginx", "-c", conf, "-e", filepath.Join(s.dir, "nginx.err"))
	return s.add(ctx, "nginx", addr, p, err)
}
