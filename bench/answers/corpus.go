package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/smartlb/smartlb/internal/test/corpus"
)

// quiet is how long a proxy may say nothing before the next case: some cases are never answered.
const quiet = 700 * time.Millisecond

// verdict is what a proxy made of a case: the first final status, or how the connection ended.
type verdict string

// forwarded reports whether the client got the answer of an instance.
func (v verdict) forwarded() bool { return strings.HasPrefix(string(v), "2") }

// tried is a case with the verdict of each proxy.
type tried struct {
	family, name string
	by           []verdict
}

// compareCorpus sends the whole corpus to all proxies, and writes what they do differently.
func compareCorpus(o *origin, all []contender) ([]byte, error) {
	one, err := corpus.HTTP1()
	if err != nil {
		return nil, err
	}
	var done []tried
	for _, c := range one {
		t := tried{family: c.Family, name: c.Name}
		for _, to := range all {
			o.answer(ok)
			t.by = append(t.by, talk(to.addr, c.Bytes))
		}
		done = append(done, t)
	}
	for _, c := range corpus.HTTP2() {
		t := tried{family: c.Family, name: c.Name}
		for _, to := range all {
			o.answer(ok)
			t.by = append(t.by, talk2(to.addr2, c))
		}
		done = append(done, t)
	}
	return report(done, all), nil
}

func report(done []tried, all []contender) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "| family | cases |")
	for _, c := range all[1:] {
		fmt.Fprintf(&out, " %s decides the same | only %s forwards | only smartlb forwards |", c.name, c.name)
	}
	fmt.Fprintf(&out, "\n|---|---|%s\n", strings.Repeat("---|", 3*(len(all)-1)))
	var families []string
	for _, t := range done {
		if !slices.Contains(families, t.family) {
			families = append(families, t.family)
		}
	}
	for _, f := range families {
		cases := slices.DeleteFunc(slices.Clone(done), func(t tried) bool { return t.family != f })
		fmt.Fprintf(&out, "| %s | %d |", f, len(cases))
		for i := range all[1:] {
			same, theirs, ours := 0, 0, 0
			for _, t := range cases {
				switch us, them := t.by[0].forwarded(), t.by[i+1].forwarded(); {
				case us == them:
					same++
				case them:
					theirs++
				default:
					ours++
				}
			}
			fmt.Fprintf(&out, " %d | %d | %d |", same, theirs, ours)
		}
		out.WriteString("\n")
	}
	fmt.Fprintf(&out, "\n| case |%s\n|---|%s\n", names(all), strings.Repeat("---|", len(all)))
	type row struct {
		cases []string
		cells string
	}
	var rows []row
	for _, t := range done {
		if !slices.ContainsFunc(t.by, func(v verdict) bool { return v.forwarded() != t.by[0].forwarded() }) {
			continue
		}
		cells := ""
		for _, v := range t.by {
			cells += fmt.Sprintf(" %s |", v)
		}
		// Cases about single bytes that end alike share a row.
		last := len(rows) - 1
		if stem := stemOf(t.name); last >= 0 && stem != "" && rows[last].cells == cells && stemOf(rows[last].cases[0]) == stem {
			rows[last].cases = append(rows[last].cases, t.name)
			continue
		}
		rows = append(rows, row{[]string{t.name}, cells})
	}
	for _, r := range rows {
		name := r.cases[0]
		if n := len(r.cases); n > 1 {
			name = fmt.Sprintf("%s and %d more up to %s", name, n-1, r.cases[n-1])
		}
		fmt.Fprintf(&out, "| %s |%s\n", name, r.cells)
	}
	return out.Bytes()
}

// stemOf returns the part of a head in which a case puts a byte, "" for other cases.
func stemOf(name string) string {
	if !strings.HasPrefix(name, "h2-byte-") {
		return ""
	}
	return name[strings.LastIndexByte(name, '-'):]
}

// talk sends bytes of HTTP/1.1.
func talk(addr, request string) verdict {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return "refused"
	}
	defer nc.Close()
	go func() { _, _ = io.WriteString(nc, request) }()
	method, _, _ := strings.Cut(request, " ")
	in := bufio.NewReader(nc)
	for {
		_ = nc.SetReadDeadline(time.Now().Add(quiet))
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "no answer"
		case err != nil:
			return "closed"
		case res.StatusCode >= 200:
			return verdict(strconv.Itoa(res.StatusCode))
		}
	}
}

// talk2 sends a request of HTTP/2 on a connection of its own.
func talk2(addr string, c corpus.Stream) verdict {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return "refused"
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(quiet))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(c.Fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: c.Fields[i], Value: c.Fields[i+1]})
	}
	f := http2.NewFramer(nc, nc)
	f.AllowIllegalWrites = true
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(nc, http2.ClientPreface)
	_ = f.WriteSettings()
	raw, first := block.Bytes(), true
	for first || len(raw) > 0 {
		part := raw[:min(len(raw), 16<<10)]
		raw = raw[len(part):]
		if first {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: len(c.Body) == 0, EndHeaders: len(raw) == 0, BlockFragment: part})
		} else {
			_ = f.WriteContinuation(1, len(raw) == 0, part)
		}
		first = false
	}
	for n, data := range c.Body {
		_ = f.WriteData(1, n == len(c.Body)-1, []byte(data))
	}
	for {
		fr, err := f.ReadFrame()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "no answer"
		case err != nil:
			return "closed"
		}
		switch fr := fr.(type) {
		case *http2.MetaHeadersFrame:
			if status := fr.PseudoValue("status"); !strings.HasPrefix(status, "1") {
				return verdict(status)
			}
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			if fr.ErrCode != http2.ErrCodeNo {
				return "connection ended"
			}
		}
	}
}
