package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// Speech is the protocol that a port speaks.
type Speech string

// Protocols.
const (
	SpeaksNothing   Speech = ""          // no known protocol, or no answer
	SpeaksTLS       Speech = "tls"       // the protocol inside is unknown
	SpeaksHTTP      Speech = "http"      // a web server
	SpeaksZooKeeper Speech = "zookeeper" // four-letter words
)

// sniffTimeout bounds one attempt.
const sniffTimeout = 700 * time.Millisecond

// Sniff finds out which protocol a port speaks that does not answer as Kafka does. It makes up to three connections and
// sends nothing that changes state.
func Sniff(ctx context.Context, address string) Speech {
	conn, err := sniffDial(ctx, address)
	if err != nil {
		return SpeaksNothing
	}
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // only identifies the peer; nothing is sent
	err = client.HandshakeContext(ctx)
	conn.Close()
	var (
		header tls.RecordHeaderError
		alert  tls.AlertError
	)
	switch {
	case err == nil, errors.As(err, &alert), err != nil && strings.Contains(err.Error(), "remote error: tls"):
		return SpeaksTLS
	case errors.As(err, &header) && bytes.HasPrefix(header.RecordHeader[:], []byte("HTTP")):
		return SpeaksHTTP
	}
	if strings.Contains(converse(ctx, address, "srvr"), "ookeeper") {
		return SpeaksZooKeeper
	}
	if strings.HasPrefix(converse(ctx, address, "GET / HTTP/1.0\r\n\r\n"), "HTTP/") {
		return SpeaksHTTP
	}
	return SpeaksNothing
}

func sniffDial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: sniffTimeout}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(sniffTimeout))
}

// converse sends words and returns the beginning of the answer.
func converse(ctx context.Context, address, words string) string {
	conn, err := sniffDial(ctx, address)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, words); err != nil {
		return ""
	}
	answer, _ := io.ReadAll(io.LimitReader(conn, 256))
	return string(answer)
}
