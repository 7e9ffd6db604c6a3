package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/smartlb/smartlb/bench/rig"
)

// contender starts one balancer on addr in front of the instances. All: no
// retries, connect within 1 s, answer within 2 s, /health each second with 3
// failures to leave and 2 successes to return (nginx has no active checks: one
// failure takes an instance out for 10 s, its default).
type contender struct {
	Name  string
	start func(dir, smartlb, addr string, to []string) (*rig.Process, error)
}

var contenders = []contender{
	{"smartlb", startSmartlb},
	{"haproxy-leastconn", haproxy("leastconn")},
	{"haproxy-random2", haproxy("random(2)")},
	{"nginx-least_conn", startNginx},
}

func startSmartlb(dir, smartlb, addr string, to []string) (*rig.Process, error) {
	return rig.Start(dir, "smartlb", smartlb, "proxy", "--from", addr, "--to", strings.Join(to, ","), "--policy", "adaptive", "--retries", "0",
		"--health-path", "/health", "--health-interval", "1s", "--connect-timeout", "1s", "--timeout", "2s", "--admin", "127.0.0.1:0")
}

const haproxyConf = `global
  nbthread 2
  maxconn 8192
defaults
  mode http
  retries 0
  http-reuse always
  timeout connect 1s
  timeout client 60s
  timeout server 2s
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

func haproxy(balance string) func(dir, smartlb, addr string, to []string) (*rig.Process, error) {
	return func(dir, _, addr string, to []string) (*rig.Process, error) {
		servers := ""
		for i, a := range to {
			servers += fmt.Sprintf("  server s%d %s\n", i, a)
		}
		conf := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(conf, fmt.Appendf(nil, haproxyConf, addr, balance, servers), 0o644); err != nil {
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
      proxy_connect_timeout 1s; proxy_read_timeout 2s; proxy_next_upstream off;
    }
  }
}
`

func startNginx(dir, _, addr string, to []string) (*rig.Process, error) {
	servers := ""
	for _, a := range to {
		servers += "server " + a + "; "
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, addr, servers), 0o644); err != nil {
		return nil, err
	}
	return rig.Start(dir, "nginx", "nginx", "-c", conf, "-e", filepath.Join(dir, "nginx.err"))
}
