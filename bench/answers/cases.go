package main

import "strings"

type answerCase struct{ name, bytes string }

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

var answers = []answerCase{
	{"LF line ends", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
	{"equal Content-Length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
	{"`Content-Length: 2, 2`", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"},
	{"status 600", "HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok"},
	{"status 999", "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok"},
	{"HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"a control character in a value", "HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok"},
	{"HTTP/1.0 with chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{"a blank behind a chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0 \r\n\r\n"},
	{"a chunk size of 20 digits, most of them 0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000002\r\nok\r\n0\r\n\r\n"},
	{"20 interim heads", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 20) + ok},
	{"`Connection: x, Authorization`", "HTTP/1.1 200 OK\r\nConnection: x, Authorization\r\nContent-Length: 2\r\n\r\nok"},
	{"a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok"},
	{"a blank before the colon", "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok"},
	{"unequal Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"},
	{"Content-Length with chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{"HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"a 101 that was not asked for", "HTTP/1.1 101 Switching\r\nUpgrade: tcp\r\nConnection: upgrade\r\n\r\n"},
}

// requestCase is a request; show adds the line that the instance got.
type requestCase struct {
	name, bytes, reply string
	show               bool
}

func (c requestCase) answer() string {
	if c.reply != "" {
		return c.reply
	}
	return ok
}

func get(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n" }

var requests = []requestCase{
	{name: "POST with `Upgrade: h2c` and a body", bytes: "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n\r\nok"},
	{name: "`Upgrade: tcp`, 101", bytes: "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n", reply: "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
	{name: "`Upgrade: SPDY/3.1`, 101", bytes: "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n", reply: "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"},
	{name: "`/a%2Fb`", bytes: get("/a%2Fb"), show: true},
	{name: "`/a%5cb`", bytes: get("/a%5cb"), show: true},
	{name: "`/%41`", bytes: get("/%41"), show: true},
	{name: "`/a/../b`", bytes: get("/a/../b"), show: true},
	{name: "`/a/%2e%2e/b`", bytes: get("/a/%2e%2e/b"), show: true},
	{name: "`/a/..%2fb`", bytes: get("/a/..%2fb"), show: true},
	{name: "`/café`, not escaped", bytes: get("/caf\xc3\xa9"), show: true},
	{name: "`/a%00`", bytes: get("/a%00"), show: true},
	{name: "HTTP/1.2", bytes: "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
	{name: "`GET http://h:80/` with `Host: h`", bytes: "GET http://h:80/x HTTP/1.1\r\nHost: h\r\n\r\n", show: true},
	{name: "`OPTIONS *`", bytes: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", show: true},
	{name: "`Host: h:`", bytes: "GET / HTTP/1.1\r\nHost: h:\r\n\r\n"},
	{name: "`get /`", bytes: "get / HTTP/1.1\r\nHost: a\r\n\r\n", show: true},
	{name: "`OPTIONS /`, `Max-Forwards: 0`", bytes: "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", show: true},
	{name: "a TLS ClientHello", bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"},
	{name: "the HTTP/2 preface", bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	{name: "a PROXY protocol header", bytes: "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{name: "Content-Length with chunked", bytes: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
}
