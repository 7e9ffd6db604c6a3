package h1

// Special reports whether a proxy treats the field with that name specially, such as Host, Content-Length and
// X-Forwarded-For, whatever characters stand for '-' in it.
func Special(name string) bool {
	return kindOf(asVariable([]byte(name))) != Other
}

// asVariable returns the name with '-' in place of every character that CGI does not distinguish.
func asVariable(name []byte) []byte {
	folded := make([]byte, len(name))
	for i := range folded {
		folded[i] = variable(name[i])
	}
	return folded
}

// reserve marks the fields with a reserved name. CGI and its successors write every character of a name other than
// letters and digits as '_', so any such character counts as '-'. Fields that frame or route a message keep their kind.
func (f *Fields) reserve(names []string) {
	if len(names) == 0 {
		return
	}
	for i := range f.list {
		l := &f.list[i]
		if l.kind != Other && l.kind != Underscore {
			continue
		}
		for _, n := range names {
			if sameVariable(f.buf[l.name:l.colon], n) {
				l.kind = reservedKind(l.kind)
				break
			}
		}
	}
}

// reservedKind returns the kind of a field with a reserved name. A name with '_' stays subject to the rule about such
// names, so that the field is counted or refused.
func reservedKind(k Kind) Kind {
	if k == Underscore {
		return Alias
	}
	return Reserved
}

// sameVariable reports whether CGI would give two fields one variable.
func sameVariable(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if variable(a[i]) != variable(b[i]) {
			return false
		}
	}
	return true
}

func variable(c byte) byte {
	if c = lower(c); c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
		return c
	}
	return '-'
}
