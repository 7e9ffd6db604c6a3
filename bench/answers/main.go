// Answers sends odd responses and odd requests through smartlb, HAProxy and nginx, and writes what becomes of them as
// tables into docs/http.md. With -corpus it sends the whole corpus of malformed requests, for docs/corpus.md.
//
//	go run ./bench/answers                 # prints the tables
//	go run ./bench/answers -write docs/http.md
//	go run ./bench/answers -corpus -write docs/corpus.md
//
// HAProxy and nginx run with their defaults, but for what makes them forward
// HTTP/1.1 to one server.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func main() {
	write := flag.String("write", "", "the page whose tables are replaced; empty: print them")
	whole := flag.Bool("corpus", false, "send the corpus")
	flag.Parse()
	tables, err := measure(*whole)
	if err == nil && *write != "" {
		err = replace(*write, tables)
	} else if err == nil {
		_, err = os.Stdout.Write(tables)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func measure(whole bool) ([]byte, error) {
	dir, err := os.MkdirTemp("", "answers")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	origin, err := listen()
	if err != nil {
		return nil, err
	}
	defer origin.close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all []contender
	for _, start := range []func(context.Context, string, string) (contender, error){startSmartlb, startHAProxy, startNginx} {
		c, err := start(ctx, dir, origin.addr())
		if err != nil {
			return nil, err
		}
		defer c.stop()
		all = append(all, c)
	}
	if whole {
		return compareCorpus(origin, all)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "| answer of the instance |%s\n|---|%s\n", names(all), strings.Repeat("---|", len(all)))
	for _, tc := range answers {
		fmt.Fprintf(&out, "| %s |", tc.name)
		for _, c := range all {
			origin.answer(tc.bytes)
			fmt.Fprintf(&out, " %s |", ask(c.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		}
		out.WriteString("\n")
	}
	fmt.Fprintf(&out, "\n| request of the client |%s\n|---|%s\n", names(all), strings.Repeat("---|", len(all)))
	for _, tc := range requests {
		fmt.Fprintf(&out, "| %s |", tc.name)
		for _, c := range all {
			origin.answer(tc.answer())
			reply := ask(c.addr, tc.bytes)
			if line := origin.seen(); line != "" && tc.show {
				reply += " `" + line + "`"
			}
			fmt.Fprintf(&out, " %s |", reply)
		}
		out.WriteString("\n")
	}
	return out.Bytes(), nil
}

func names(all []contender) (s string) {
	for _, c := range all {
		s += " " + c.name + " |"
	}
	return s
}

// Marks in the page between which the tables stand.
const (
	beginMark = "<!-- bench/answers -->\n"
	endMark   = "<!-- end of bench/answers -->\n"
)

func replace(path string, tables []byte) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !ok || !ended {
		return errors.New(path + " has no place for the tables")
	}
	return os.WriteFile(path, []byte(before+beginMark+string(tables)+endMark+after), 0o644)
}

// contender is one proxy in front of the origin.
type contender struct {
	name, addr string
	addr2      string // for HTTP/2 without TLS
	stop       func()
}

// startSmartlb runs the data plane in this process.
func startSmartlb(ctx context.Context, _, origin string) (contender, error) {
	service := upstream.NewService("s")
	live := upstream.NewLive("s", "s-0", origin, 1, 0)
	service.Swap(&upstream.Pool{Policy: only{}, Name: "only", Live: []int32{0}, Members: []upstream.Member{{Live: live, Weight: 1}}})
	route := &dispatch.Route{Name: "all", Split: []dispatch.Share{{Service: service, Weight: 1}}, Total: 1}
	routes, err := router.Compile([]router.Rule[*dispatch.Route]{{Name: "all", Path: "/", Kind: router.Prefix, Value: route}})
	if err != nil {
		return contender{}, err
	}
	d := dispatch.New(dispatch.Config{})
	d.Swap(&dispatch.Table{Revision: "1", Routes: routes, Names: "all"})
	p, err := proxy.New(proxy.Config{Listeners: []proxy.Listener{{Name: "web", Addr: "127.0.0.1:0"}}}, d)
	if err != nil {
		return contender{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	return contender{"smartlb", p.Addr("web").String(), p.Addr("web").String(), func() { cancel(); <-done }}, nil
}

// only takes the one instance.
type only struct{}

func (only) Choose(*upstream.Pool, *upstream.Ask) int { return 0 }

const haproxyConf = `defaults
  mode http
  timeout connect 1s
  timeout client 3s
  timeout server 3s
frontend in
  bind %[1]s
  bind %[3]s proto h2
  default_backend out
backend out
  server s %[2]s
`

func startHAProxy(ctx context.Context, dir, origin string) (contender, error) {
	return start(ctx, dir, "haproxy", "HAProxy", haproxyConf, origin, "-db", "-f")
}

const nginxConf = `worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err;
events {}
http {
  access_log off;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen %[1]s; listen %[3]s http2;
    location / {
      proxy_pass http://%[2]s; proxy_http_version 1.1; proxy_read_timeout 3s; proxy_next_upstream off;
      proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }
  }
}
`

func startNginx(ctx context.Context, dir, origin string) (contender, error) {
	return start(ctx, dir, "nginx", "nginx", nginxConf, origin, "-p", dir, "-c")
}

func start(ctx context.Context, dir, program, name, conf, origin string, args ...string) (contender, error) {
	addrs, err := rig.FreeAddrs(2)
	if err != nil {
		return contender{}, err
	}
	file := filepath.Join(dir, program+".conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, conf, addrs[0], origin, addrs[1]), 0o644); err != nil {
		return contender{}, err
	}
	p, err := rig.Start(dir, program, program, append(args, file)...)
	if err != nil {
		return contender{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.AwaitPort(ctx, addrs[0]); err != nil {
		p.Stop()
		return contender{}, err
	}
	return contender{name, addrs[0], addrs[1], p.Stop}, nil
}
