package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// link carries the bytes of a client: *wire in the clear, *secure inside TLS, *streamLink for a request of HTTP/2. One
// goroutine may read and one may write at a time.
type link interface {
	read(p []byte) (int, error)  // waits for bytes; at the end of the stream io.EOF
	fill(l *lease) (int, error)  // as read, into a lease that holds no buffer while it waits
	write(p []byte) (int, error) // sends all of p
	waiting() bool               // bytes wait to be read; for the goroutine that reads
	closeWrite() error           // sends no more
	close()                      // ends the connection

	interrupt(write bool)    // ends the waits of read and, if write is set, of write with an error, until resume. Any goroutine may call it
	resume(write bool) error // permits the waits again that interrupt ended
	state() peerState        // of the peer. Any goroutine may call it
}

// secure is TLS on a wire. crypto/tls works on records; what this type adds is that a waiting connection holds no
// buffer for them: a read that finds no bytes gives its buffer back and begins again when bytes have arrived. crypto/tls
// permits that, because it keeps a part of a record that it has read and takes up after a temporary error.
type secure struct {
	w    *wire
	conn *tls.Conn

	before lease   // received before the handshake, behind a PROXY header
	now    bool    // the read of conn must not wait
	fd     uintptr // of the socket, while now is set
	slot   *lease
	n      int
	err    error
	early  [1]byte // read by waiting, and not yet by anyone else
	isHere bool    // early holds a byte

	closing atomic.Bool // the write of conn must not wait
	onRead  func(fd uintptr) bool
}

// chose reports whether ALPN chose a protocol. It is not inlined, because the state takes 300 bytes of the caller's stack.
//
//go:noinline
func (s *secure) chose(protocol string) bool {
	return s.conn.ConnectionState().NegotiatedProtocol == protocol
}

func newSecure(w *wire, cfg *tls.Config) *secure {
	s := &secure{w: w}
	s.conn = tls.Server(socket{s}, cfg)
	s.onRead = s.tryRead
	return s
}

// newSecureClient is newSecure for a connection to an instance.
func newSecureClient(w *wire, cfg *tls.Config) *secure {
	s := &secure{w: w}
	s.conn = tls.Client(socket{s}, cfg)
	s.onRead = s.tryRead
	return s
}

// errAgain says that a read would have to wait. crypto/tls takes it for temporary.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "no bytes have arrived" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

func (s *secure) read(p []byte) (int, error) {
	if s.isHere && len(p) > 0 {
		p[0], s.isHere = s.early[0], false
		return 1, nil
	}
	return s.conn.Read(p)
}

func (s *secure) fill(l *lease) (int, error) {
	if s.isHere {
		l.room()[0], s.isHere = s.early[0], false
		l.end++
		return 1, nil
	}
	s.slot = l
	err := s.w.attempt(s.onRead)
	s.slot = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// tryRead reads into the lease. It returns false if no bytes have arrived.
func (s *secure) tryRead(fd uintptr) bool {
	s.now, s.fd = true, fd
	s.n, s.err = s.conn.Read(s.slot.room())
	s.now = false
	s.slot.end += s.n
	s.slot.dropEmpty()
	return s.n > 0 || s.err != errAgain
}

func (s *secure) write(p []byte) (int, error) { return s.conn.Write(p) }

func (s *secure) interrupt(write bool) { s.w.interrupt(write) }

func (s *secure) resume(write bool) error { return s.w.resume(write) }

func (s *secure) state() peerState { return s.w.state() }

func (s *secure) waiting() bool {
	if s.isHere {
		return true
	}
	if !canReadNow && !s.w.waiting() {
		return false
	}
	s.w.control(func(fd uintptr) {
		s.now, s.fd = true, fd
		n, _ := s.conn.Read(s.early[:])
		s.now = false
		s.isHere = n > 0
	})
	return s.isHere
}

// closeWrite sends close_notify, by which the peer knows that nothing was cut off, and ends the sending side.
func (s *secure) closeWrite() error {
	if err := s.conn.CloseWrite(); err != nil {
		return err
	}
	return s.w.closeWrite()
}

// close sends close_notify if the socket takes it at once. It does not wait: a write that waits in another goroutine, with
// the lock of crypto/tls, fails first.
func (s *secure) close() {
	s.closing.Store(true)
	s.w.interrupt(true)
	_ = s.conn.CloseWrite()
	s.w.close()
}

// socket is the wire as crypto/tls sees it.
type socket struct{ s *secure }

func (k socket) Read(p []byte) (int, error) {
	if before := &k.s.before; before.len() > 0 {
		n := copy(p, before.bytes())
		before.drop(n)
		return n, nil
	}
	if k.s.now {
		return k.s.w.readNow(k.s.fd, p)
	}
	return k.s.w.read(p)
}

func (k socket) Write(p []byte) (int, error) {
	if k.s.closing.Load() {
		return k.s.w.writeNow(p)
	}
	return k.s.w.write(p)
}

func (k socket) Close() error                       { return k.s.w.sock.Close() }
func (k socket) LocalAddr() net.Addr                { return k.s.w.sock.LocalAddr() }
func (k socket) RemoteAddr() net.Addr               { return k.s.w.sock.RemoteAddr() }
func (k socket) SetDeadline(t time.Time) error      { return k.s.w.sock.SetDeadline(t) }
func (k socket) SetReadDeadline(t time.Time) error  { return k.s.w.sock.SetReadDeadline(t) }
func (k socket) SetWriteDeadline(t time.Time) error { return k.s.w.sock.SetWriteDeadline(t) }

// Handshake says how a TLS handshake of a client ended.
type Handshake uint8

// The ways in which a handshake ends.
const (
	HandshakeDone       Handshake = iota
	HandshakeChallenge            // an authority of certificates verified a name (RFC 8737); no request follows
	HandshakePlainHTTP            // the client speaks HTTP in the clear
	HandshakeOther                // the client speaks something else than TLS
	HandshakeVersion              // no common version of TLS
	HandshakeCipher               // no common cipher suite or curve
	HandshakeALPN                 // no common application protocol
	HandshakeName                 // no certificate for the server name
	HandshakeRefused              // the client refused the certificate of the proxy, or something else, with an alert
	HandshakeClientCert           // the client certificate is missing, expired, or of an unknown authority
	HandshakeLate                 // the client did not finish in time
	HandshakeLeft                 // the client left
	HandshakeFailed               // another reason; the log has the text
	NumHandshakes
)

var handshakeNames = [NumHandshakes]string{
	"done", "acme-challenge", "plain-http", "not-tls", "no-common-version", "no-common-cipher", "no-common-protocol", "unknown-server-name",
	"refused-by-client", "client-certificate", "timeout", "client-left", "failed",
}

// String returns the name in logs and metrics.
func (h Handshake) String() string { return handshakeNames[h] }

// handshake runs the TLS handshake of a client and reports whether it succeeded. A client that speaks HTTP in the clear
// gets an answer in the clear.
func (c *conn) handshake(s *secure) bool {
	c.watch.arm(c.now+int64(c.p.cfg.HandshakeTimeout), wakeClient)
	ended := make(chan error, 1)
	go func() { ended <- s.conn.Handshake() }() // on a stack of its own: the goroutine of the connection keeps a small one
	err := <-ended
	late := c.watch.disarm() != 0
	c.now = c.p.cfg.Now()
	how := handshakeOf(err, late)
	if how == HandshakeDone && s.conn.ConnectionState().NegotiatedProtocol == certs.ChallengeProtocol {
		how = HandshakeChallenge
	}
	c.p.count.handshakes[how].Add(1)
	if how == HandshakeChallenge {
		return false
	}
	if how == HandshakeDone {
		st := s.conn.ConnectionState()
		c.cert, c.sni = clientCertOf(st), st.ServerName
		return true
	}
	if how == HandshakePlainHTTP {
		c.link, c.secure = c.wire, nil
		e := c.takeExchange()
		c.refuseHead(e, plainHTTP)
		c.giveExchange(e)
		return false
	}
	if how != HandshakeLeft && c.p.mayNote(c.now) {
		c.p.cfg.Log.Info("a TLS handshake failed", "client", c.peer.String(), "listener", c.l.name(), "reason", how.String(), "error", withSubject(err))
	}
	return false
}

// mayNote reports whether a failed handshake or a wrong PROXY header may be logged: one each second, because any client can cause them.
func (p *Proxy) mayNote(now int64) bool {
	last := p.notes.Load()
	return (last == 0 || now-last >= int64(time.Second)) && p.notes.CompareAndSwap(last, now)
}

var plainHTTP = &h1.Error{Status: 400, Class: h1.ClassSyntax, Reason: "plain HTTP on a TLS listener: use https://"}

func handshakeOf(err error, late bool) Handshake {
	var record tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case err == nil && !late:
		return HandshakeDone
	case late || errors.Is(err, os.ErrDeadlineExceeded):
		return HandshakeLate
	case errors.As(err, &record):
		if looksLikeHTTP(record.RecordHeader[:]) {
			return HandshakePlainHTTP
		}
		return HandshakeOther
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return HandshakeLeft
	case errors.As(err, &cert):
		return HandshakeClientCert
	case errors.As(err, &alert) && alert.Op == "remote error":
		return HandshakeRefused
	}
	for _, known := range handshakeTexts {
		if strings.Contains(err.Error(), known.text) {
			return known.how
		}
	}
	return HandshakeFailed
}

// handshakeTexts are parts of the texts of errors for which crypto/tls has no type. TestEachHandshakeIsNamed provokes
// each, so that another text in a later version of Go is noticed.
var handshakeTexts = []struct {
	text string
	how  Handshake
}{
	{"unsupported versions", HandshakeVersion},
	{"no cipher suite supported", HandshakeCipher},
	{"no mutually supported", HandshakeCipher}, // a curve
	{"unsupported application protocols", HandshakeALPN},
	{"didn't provide a certificate", HandshakeClientCert},
	{"parse client certificate", HandshakeClientCert},
	{"by the client certificate", HandshakeClientCert}, // a wrong signature
	{"no certificates configured", HandshakeName},
}

// looksLikeHTTP reports whether the five bytes that should have been a record header begin a request: the letters of a
// method.
func looksLikeHTTP(b []byte) bool {
	for _, ch := range b[:3] {
		if ch < 'A' || ch > 'Z' {
			return false
		}
	}
	return true
}
