package h1

import "bytes"

// HasDate reports whether the message has a Date field.
func (f *Fields) HasDate() bool { return f.has(Date) }

// PassedThrough reports whether a Via field names pseudonym as a recipient (RFC
// 9110 §7.6.3).
func (f *Fields) PassedThrough(pseudonym string) bool {
	for i := range f.list {
		if f.list[i].kind != Via {
			continue
		}
		rest, more := f.buf[f.list[i].value:f.list[i].end], true
		for more {
			var item []byte
			item, rest, more = bytes.Cut(rest, []byte{','})
			_, by, _ := bytes.Cut(trim(item), []byte{' '}) // protocol, received-by, comment
			by, _, _ = bytes.Cut(trim(by), []byte{' '})
			if string(by) == pseudonym {
				return true
			}
		}
	}
	return false
}

// BindsConnection reports whether the head is part of NTLM or Negotiate authentication, which authenticates the
// connection instead of the request (RFC 4559 §6).
func (f *Fields) BindsConnection() bool { return f.binds }

// bindsConnection looks for these schemes in the value of Authorization or WWW-Authenticate. One line may contain
// several challenges. A false positive costs one connection.
func bindsConnection(value []byte) bool {
	for len(value) > 0 {
		value = trim(value)
		if hasPrefixFold(value, "ntlm") || hasPrefixFold(value, "negotiate") {
			return true
		}
		comma := bytes.IndexByte(value, ',')
		if comma < 0 {
			return false
		}
		value = value[comma+1:]
	}
	return false
}
