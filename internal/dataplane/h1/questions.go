package h1

import "bytes"

// HasDate reports whether the message says when it was made.
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

// BindsConnection reports whether the head takes part in NTLM or Negotiate,
// which authenticate the connection instead of the request (RFC 4559 §6).
func (f *Fields) BindsConnection() bool { return f.binds }

// bindsConnection looks for those schemes in the value of Authorization or
// WWW-Authenticate. Several challenges may stand in one line; a false alarm
// costs one connection.
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
