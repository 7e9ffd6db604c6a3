package compress

import "bytes"

// Coding is a content coding.
type Coding uint8

// The codings.
const (
	Identity Coding = iota // not compressed
	Gzip
	Brotli
	Zstd
	NumCodings = int(iota)
)

var names = [NumCodings]string{"identity", "gzip", "br", "zstd"}

// String returns the name as in Content-Encoding.
func (c Coding) String() string { return names[c] }

// Named returns the coding with that name of Content-Encoding, other than identity.
func Named(name string) (Coding, bool) {
	for c := Gzip; int(c) < NumCodings; c++ {
		if names[c] == name {
			return c, true
		}
	}
	return Identity, false
}

// Weights are the weights of a client for each coding, in thousandths. The zero value is a client that names no coding.
type Weights struct {
	of    [NumCodings]int16 // weight+1; 0: not named
	other int16             // of "*"
}

// Read adds the members of an Accept-Encoding field (RFC 9110 §12.5.3). It ignores a member that is not valid. If a coding
// comes twice, the first one counts.
func (w *Weights) Read(field []byte) {
	for more := true; more; {
		var member []byte
		member, field, more = bytes.Cut(field, []byte{','})
		name, parameters, weighted := bytes.Cut(member, []byte{';'})
		weight := int16(1000)
		if weighted {
			var ok bool
			if weight, ok = parseWeight(parameters); !ok {
				continue
			}
		}
		if at := w.at(bytes.Trim(name, " \t")); at != nil && *at == 0 {
			*at = weight + 1
		}
	}
}

// at returns the place of the weight of a coding, nil if it is unknown.
func (w *Weights) at(name []byte) *int16 {
	if len(name) == 1 && name[0] == '*' {
		return &w.other
	}
	if len(name) == len("x-gzip") && bytes.EqualFold(name, []byte("x-gzip")) { // RFC 9110 §8.4.1.3
		return &w.of[Gzip]
	}
	for c := range names {
		if len(name) == len(names[c]) && bytes.EqualFold(name, []byte(names[c])) {
			return &w.of[c]
		}
	}
	return nil
}

// weight returns the weight of a coding, 0 if the client does not want it.
func (w *Weights) weight(c Coding) int16 {
	switch {
	case w.of[c] > 0:
		return w.of[c] - 1
	case c == Identity:
		return 0 // acceptable, but the client prefers what it names
	case w.other > 0:
		return w.other - 1
	}
	return 0
}

// Negotiate returns the offered coding with the greatest weight, of several the first one. It returns Identity if the
// client wants none of them, or prefers a response without a coding.
func (w *Weights) Negotiate(offered []Coding) Coding {
	best, most := Identity, int16(0)
	for _, c := range offered {
		if n := w.weight(c); n > most {
			best, most = c, n
		}
	}
	if w.weight(Identity) > most {
		return Identity
	}
	return best
}

// parseWeight reads q=0 to q=1 with at most three decimals.
func parseWeight(parameter []byte) (int16, bool) {
	p := bytes.Trim(parameter, " \t")
	if len(p) < 3 || len(p) > 7 || p[0]|0x20 != 'q' || p[1] != '=' || p[2] != '0' && p[2] != '1' {
		return 0, false
	}
	n := int16(p[2]-'0') * 1000
	if len(p) == 3 {
		return n, true
	}
	if p[3] != '.' {
		return 0, false
	}
	for i, unit := 4, int16(100); i < len(p); i, unit = i+1, unit/10 {
		if p[i] < '0' || p[i] > '9' {
			return 0, false
		}
		n += int16(p[i]-'0') * unit
	}
	return n, n <= 1000
}
