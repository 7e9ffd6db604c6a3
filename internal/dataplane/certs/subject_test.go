package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
)

func TestSubjectAsText(t *testing.T) {
	type at = pkix.AttributeTypeAndValue
	cn, ou, dc := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 11}, asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	one := func(oid asn1.ObjectIdentifier, value any) []at { return []at{{Type: oid, Value: value}} }
	for want, name := range map[string][][]at{
		"":                                 {},
		"CN=client":                        {one(cn, "client")},
		"CN=c,OU=b,OU=a,DC=example,DC=com": {one(dc, "com"), one(dc, "example"), one(ou, "a"), one(ou, "b"), one(cn, "c")},
		"OU=a,CN=c":                        {one(cn, "c"), one(ou, "a")},
		"CN=c+OU=a":                        {{{Type: cn, Value: "c"}, {Type: ou, Value: "a"}}},
		`CN=a\, OU=b\+c\"\\\<\>\;`:         {one(cn, `a, OU=b+c"\<>;`)},
		`CN=\#\ `:                          {one(cn, "# ")},
		`CN=\ a  b\ `:                      {one(cn, " a  b ")},
		`CN=caf\C3\A9`:                     {one(cn, "café")},
		`CN=a\0D\0AX-Admin: 1`:             {one(cn, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("a\r\nX-Admin: 1")})},
		`CN=a\00b\7F`:                      {one(cn, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("a\x00b\x7f")})},
		"CN=#0302070b":                     {one(cn, asn1.RawValue{Tag: asn1.TagBitString, Bytes: []byte{7, 11}})},
		"CN=#0c02ffff":                     {one(cn, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte{255, 255}})},
		"1.2.3=#130161":                    {one(asn1.ObjectIdentifier{1, 2, 3}, asn1.RawValue{Tag: asn1.TagPrintableString, Bytes: []byte("a")})},
		"emailAddress=a@b":                 {one(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("a@b")})},
	} {
		seq := pkix.RDNSequence{}
		for _, set := range name {
			seq = append(seq, set)
		}
		der, err := asn1.Marshal(seq)
		if err != nil {
			t.Fatal(err)
		}
		got := Subject(&x509.Certificate{RawSubject: der})
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Errorf("%q is not printable ASCII", got)
		}
	}
	if got := Subject(&x509.Certificate{RawSubject: []byte{1, 2, 3}}); got != "#010203" {
		t.Errorf("bytes that are no name: %q", got)
	}
}
