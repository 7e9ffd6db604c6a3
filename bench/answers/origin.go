package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const waits = 2 * time.Second // for a reply

// origin answers every request with given bytes.
type origin struct {
	net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	bytes string
	line  string // the last request line
}

func listen() (*origin, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{Listener: ln}
	o.wg.Go(o.serve)
	return o, nil
}

func (o *origin) addr() string { return o.Addr().String() }

func (o *origin) close() {
	_ = o.Close()
	o.wg.Wait()
}

func (o *origin) serve() {
	for {
		nc, err := o.Accept()
		if err != nil {
			return
		}
		o.wg.Go(func() {
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(time.Minute)) // the whole takes seconds
			in := bufio.NewReader(nc)
			for more := true; more; {
				more = o.one(nc, in)
			}
		})
	}
}

// one reads a request and answers; false at the end of the connection.
func (o *origin) one(nc net.Conn, in *bufio.Reader) bool {
	line, err := in.ReadString('\n')
	if err != nil {
		return false
	}
	length, chunked := 0, false
	for l := line; l != "\r\n" && err == nil; l, err = in.ReadString('\n') {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(l)), ":")
		switch value = strings.TrimSpace(value); {
		case name == "content-length":
			length, _ = strconv.Atoi(value)
		case name == "transfer-encoding" && value == "chunked":
			chunked = true
		}
	}
	if chunked {
		err = skipChunks(in)
	} else {
		_, err = io.CopyN(io.Discard, in, int64(length))
	}
	if err != nil {
		return false
	}
	o.mu.Lock()
	o.line = strings.TrimSpace(line)
	answer := o.bytes
	o.mu.Unlock()
	_, err = io.WriteString(nc, answer)
	return err == nil
}

// skipChunks reads a chunked body to its end.
func skipChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if _, err := io.CopyN(io.Discard, in, size+2); err != nil {
			return err
		}
	}
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// answer sets what is answered from now on.
func (o *origin) answer(b string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes, o.line = b, ""
}

// seen gives the request line that came since answer.
func (o *origin) seen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.line
}

// ask sends bytes to a proxy and says what came back.
func ask(addr, request string) string {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return "refused"
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(waits))
	_, _ = io.WriteString(nc, request)
	method, _, _ := strings.Cut(request, " ")
	in := bufio.NewReader(nc)
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		res, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no reply"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case err != nil:
		return "a reply that net/http refuses"
	}
	status := strconv.Itoa(res.StatusCode)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return status
	}
	if _, err := io.ReadAll(res.Body); err != nil {
		return status + ", body broken"
	}
	return status
}
