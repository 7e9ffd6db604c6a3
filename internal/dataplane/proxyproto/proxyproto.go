package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
)

// Version of the protocol.
type Version uint8

// The versions. None stands for a connection without a header.
const (
	None Version = 0
	V1   Version = 1 // a line of text
	V2   Version = 2 // binary
)

// Header is what a header says. A header without addresses (LOCAL, UNKNOWN, UNSPEC, a protocol other than TCP) leaves the
// connection its own addresses; Source and Target are then invalid.
type Header struct {
	Version Version
	Source  netip.AddrPort // of the client
	Target  netip.AddrPort // to which the client connected
}

// Bounds of a header.
const (
	MaxV1    = 107       // bytes of a line with its end (§2.1)
	MaxV2    = 16 + 4096 // bytes with addresses and extensions. The protocol allows 65551
	MaxFixed = MaxV1     // bytes that Parse needs at most to decide
)

// The ways in which a header is wrong.
var (
	ErrMissing   = errors.New("the connection does not begin with a PROXY header")
	ErrMalformed = errors.New("malformed PROXY header")
	ErrTooLong   = errors.New("the PROXY header is too long")
)

const (
	prefixV1  = "PROXY "
	signature = "\r\n\r\n\x00\r\nQUIT\n" // of version 2
	fixedV2   = 16                       // bytes before the addresses
)

// Parse reads the header at the start of b and returns its length in bytes. A length of 0 without an error means that b
// is too short to decide; that holds for fewer than MaxFixed bytes only. The length may be above len(b), by at most
// MaxV2: the remaining bytes are extensions, which the caller must read and drop.
func Parse(b []byte) (h Header, length int, err error) {
	switch {
	case begins(b, prefixV1):
		return parseV1(b)
	case begins(b, signature):
		return parseV2(b)
	}
	return Header{}, 0, ErrMissing
}

// begins reports whether b begins with prefix, as far as b goes.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

func parseV1(b []byte) (Header, int, error) {
	end := bytes.IndexByte(b[:min(len(b), MaxV1)], '\n')
	switch {
	case end < 0 && len(b) >= MaxV1:
		return Header{}, 0, ErrTooLong
	case end < 0:
		return Header{}, 0, nil
	case b[end-1] != '\r':
		return Header{}, 0, ErrMalformed
	}
	h, ok := line(b[len(prefixV1) : end-1])
	if !ok {
		return Header{}, 0, ErrMalformed
	}
	return h, end + 1, nil
}

// line reads what follows "PROXY " in a line of version 1.
func line(s []byte) (Header, bool) {
	h := Header{Version: V1}
	family, rest, more := bytes.Cut(s, []byte(" "))
	if string(family) == "UNKNOWN" {
		return h, true // §2.1: the rest of the line is ignored
	}
	if !more || string(family) != "TCP4" && string(family) != "TCP6" {
		return h, false
	}
	var words [4][]byte
	for i := range words {
		words[i], rest, more = bytes.Cut(rest, []byte(" "))
		if more != (i < len(words)-1) {
			return h, false
		}
	}
	var ok [2]bool
	six := string(family) == "TCP6"
	h.Source, ok[0] = textAddress(words[0], words[2], six)
	h.Target, ok[1] = textAddress(words[1], words[3], six)
	return h, ok[0] && ok[1]
}

func textAddress(address, port []byte, six bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(string(address))
	if err != nil || a.Is6() != six || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// Bytes of version 2 (§2.2).
const (
	local, proxied = 0x20, 0x21
	tcp4, tcp6     = 0x11, 0x21
	size4, size6   = 12, 36 // bytes of the addresses
)

func parseV2(b []byte) (Header, int, error) {
	if len(b) < fixedV2 {
		return Header{}, 0, nil
	}
	command, family, size := b[12], b[13], int(binary.BigEndian.Uint16(b[14:]))
	h, length := Header{Version: V2}, fixedV2+size
	wants := 0
	switch {
	case command != local && command != proxied:
		return Header{}, 0, ErrMalformed
	case command == proxied && family == tcp4:
		wants = size4
	case command == proxied && family == tcp6:
		wants = size6
	}
	switch {
	case size < wants:
		return Header{}, 0, ErrMalformed
	case length > MaxV2:
		return Header{}, 0, ErrTooLong
	case len(b) < fixedV2+wants:
		return Header{}, 0, nil
	case wants == size4:
		h.Source, h.Target = pair(b[fixedV2:], 4)
	case wants == size6:
		h.Source, h.Target = pair(b[fixedV2:], 16)
	}
	return h, length, nil
}

// pair reads two addresses of n bytes each and their ports.
func pair(b []byte, n int) (source, target netip.AddrPort) {
	s, _ := netip.AddrFromSlice(b[:n])
	t, _ := netip.AddrFromSlice(b[n : 2*n])
	ports := b[2*n:]
	return netip.AddrPortFrom(s.Unmap(), binary.BigEndian.Uint16(ports)), netip.AddrPortFrom(t.Unmap(), binary.BigEndian.Uint16(ports[2:]))
}

// Append appends the header to dst. If an address is missing, the header has no addresses: UNKNOWN in version 1, LOCAL in
// version 2. If one address is of IPv6, both are written as IPv6. Zones are dropped.
func (h Header) Append(dst []byte) []byte {
	s, t := h.Source, h.Target
	known := s.IsValid() && t.IsValid()
	six := known && (s.Addr().Unmap().Is6() || t.Addr().Unmap().Is6())
	if h.Version == V1 {
		return appendV1(dst, s, t, known, six)
	}
	dst = append(dst, signature...)
	switch {
	case !known:
		return append(dst, local, 0, 0, 0)
	case six:
		dst = append(dst, proxied, tcp6, 0, size6)
		a, b := s.Addr().As16(), t.Addr().As16()
		dst = append(append(dst, a[:]...), b[:]...)
	default:
		dst = append(dst, proxied, tcp4, 0, size4)
		a, b := s.Addr().Unmap().As4(), t.Addr().Unmap().As4()
		dst = append(append(dst, a[:]...), b[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, s.Port())
	return binary.BigEndian.AppendUint16(dst, t.Port())
}

func appendV1(dst []byte, s, t netip.AddrPort, known, six bool) []byte {
	switch {
	case !known:
		return append(dst, "PROXY UNKNOWN\r\n"...)
	case six:
		dst = append(dst, "PROXY TCP6 "...)
	default:
		dst = append(dst, "PROXY TCP4 "...)
	}
	for _, a := range [2]netip.AddrPort{s, t} {
		ip := a.Addr().Unmap().WithZone("")
		if six {
			ip = netip.AddrFrom16(ip.As16())
		}
		dst = append(ip.AppendTo(dst), ' ')
	}
	dst = append(strconv.AppendUint(dst, uint64(s.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(t.Port()), 10)
	return append(dst, "\r\n"...)
}
