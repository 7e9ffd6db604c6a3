package h1

import "bytes"

// Cookie returns the value of the first cookie with that name (RFC 6265 §5.4), as it was sent: quotes belong to the value.
// Names are compared with regard to case.
func (r *Request) Cookie(name string) (value []byte, ok bool) {
	for i := range r.list {
		l := &r.list[i]
		if l.kind != Protected || !EqualFold(r.buf[l.name:l.colon], "cookie") {
			continue
		}
		for rest := r.buf[l.value:l.end]; len(rest) > 0; {
			item := rest
			if at := bytes.IndexByte(rest, ';'); at >= 0 {
				item, rest = rest[:at], rest[at+1:]
			} else {
				rest = nil
			}
			if at := bytes.IndexByte(item, '='); at >= 0 && string(trim(item[:at])) == name {
				return trim(item[at+1:]), true
			}
		}
	}
	return nil, false
}
