package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/smartlb/smartlb/bench/rig"
)

// contender starts one balancer on addr in front of the instances. All: connect
// within 1 s, answer within 2 s, /health each second with 3 failures to leave
// and 2 successes to return (nginx has no active checks: one failure takes an
// instance out for 10 s, its default), and no retries. In a case with retries
// all have two, on another instance, and a try has half a second to answer.
type contender struct {
	Name  string
	start func(c benchCase, dir, smartlb, addr string, to []string) (*rig.Process, error)
}

var contenders = []contender{
	{"smartlb", startSmartlb},
	{"haproxy-leastconn", haproxy("leastconn")},
	{"haproxy-random2", haproxy("random(2)")},
	{"nginx-least_conn", startNginx},
}

func startSmartlb(c benchCase, dir, smartlb, addr string, to []string) (*rig.Process, error) {
	if !c.Retries && !c.Uneven {
		return rig.Start(dir, "smartlb", smartlb, "proxy", "--from", addr, "--to", strings.Join(to, ","), "--policy", "adaptive", "--retries", "0",
			"--health-path", "/health", "--health-interval", "1s", "--connect-timeout", "1s", "--timeout", "2s", "--admin", "127.0.0.1:0")
	}
	conf := filepath.Join(dir, "smartlb.yaml")
	if err := os.WriteFile(conf, smartlbConf(c, addr, to), 0o644); err != nil {
		return nil, err
	}
	return rig.Start(dir, "smartlb", smartlb, "run", "--roles", "proxy", "--config", conf, "--kafka", "127.0.0.1:1", "--data", filepath.Join(dir, "data"), "--admin", "127.0.0.1:0")
}

func smartlbConf(c benchCase, addr string, to []string) []byte {
	retry := "{attempts: 0}"
	if c.Retries {
		retry = `{attempts: 2, on: [connect-failure, reset, timeout, "500"], perTryTimeout: 500ms}`
	}
	conf := fmt.Appendf(nil, `listeners: [{name: web, address: %q}]
routes: [{name: all, service: default, timeout: 2s, retry: %s}]
services:
  - id: default
    healthCheck: {path: /health, interval: 1s}
    connections: {connectTimeout: 1s}
    instances:
`, addr, retry)
	for i, a := range to {
		conf = fmt.Appendf(conf, "      - {id: i%d, address: %q, weight: %d}\n", i, a, c.weight(i))
	}
	return conf
}

const haproxyConf = `global
  nbthread 2
  maxconn 8192
defaults
  mode http
  %s
  http-reuse always
  timeout connect 1s
  timeout client 60s
  timeout server %s
  timeout check 1s
  timeout http-keep-alive 60s
frontend in
  bind %s
  default_backend out
backend out
  balance %s
  option httpchk GET /health
  default-server check inter 1s fall 3 rise 2
%s`

func haproxy(balance string) func(c benchCase, dir, smartlb, addr string, to []string) (*rig.Process, error) {
	return func(c benchCase, dir, _, addr string, to []string) (*rig.Process, error) {
		servers, retries, timeout := "", "retries 0", "2s"
		if c.Retries {
			retries, timeout = "retries 2\n  option redispatch 1\n  retry-on conn-failure empty-response response-timeout 500", "500ms"
		}
		for i, a := range to {
			servers += fmt.Sprintf("  server s%d %s weight %d\n", i, a, c.weight(i))
		}
		conf := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(conf, fmt.Appendf(nil, haproxyConf, retries, timeout, addr, balance, servers), 0o644); err != nil {
			return nil, err
		}
		return rig.Start(dir, "haproxy", "haproxy", "-db", "-f", conf)
	}
}

const nginxConf = `worker_processes 2; daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx.err crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
  upstream out { zone out 256k; least_conn; %[3]s keepalive 512; keepalive_requests 1000000000; }
  server {
    listen %[2]s backlog=4096;
    location / {
      proxy_pass http://out; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_connect_timeout 1s; %[4]s
    }
  }
}
`

func startNginx(c benchCase, dir, _, addr string, to []string) (*rig.Process, error) {
	servers, retries := "", "proxy_read_timeout 2s; proxy_next_upstream off;"
	if c.Retries {
		retries = "proxy_read_timeout 500ms; proxy_next_upstream error timeout http_500; proxy_next_upstream_tries 3;"
	}
	for i, a := range to {
		servers += fmt.Sprintf("server %s weight=%d; ", a, c.weight(i))
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, addr, servers, retries), 0o644); err != nil {
		return nil, err
	}
	return rig.Start(dir, "nginx", "nginx", "-c", conf, "-e", filepath.Join(dir, "nginx.err"))
}
