package h1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// decode reads a chunked body given in pieces of step bytes.
func decode(in string, step int) (data, rest string, done bool, err *Error) {
	var body Body
	body.Start(ByChunks, 0)
	for len(in) > 0 && !body.Done() {
		piece := []byte(in[:min(step, len(in))])
		d, n, err := body.Take(piece)
		if err != nil {
			return data, in, false, err
		}
		data += string(d)
		in = in[n:]
	}
	return data, in, body.Done(), nil
}

func TestChunksAreDecodedHoweverTheyAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in, want strings.Builder
		for range rapid.IntRange(0, 5).Draw(t, "chunks") {
			data := rapid.StringN(1, 40, 40).Draw(t, "data")
			fmt.Fprintf(&in, "%0*x%s\r\n%s\r\n", rapid.IntRange(1, 6).Draw(t, "width"), len(data), rapid.SampledFrom([]string{"", ";a", ";a=\"b c\""}).Draw(t, "ext"), data)
			want.WriteString(data)
		}
		in.WriteString(rapid.SampledFrom([]string{"0\r\n\r\n", "000\r\nA: b\r\nC:\r\n\r\n"}).Draw(t, "end"))
		data, rest, done, err := decode(in.String()+"GET /", rapid.IntRange(1, 50).Draw(t, "step"))
		if err != nil || !done || data != want.String() || rest != "GET /" {
			t.Fatalf("%q: got %q, rest %q, done %v, %v", in.String(), data, rest, done, err)
		}
	})
}

func TestChunkFrames(t *testing.T) {
	out := AppendChunk(nil, []byte("hello"))
	out = AppendChunk(out, nil) // must not end the body
	out = AppendChunk(out, bytes.Repeat([]byte("x"), 300))
	out = append(out, LastChunk...)
	if data, rest, done, err := decode(string(out), 7); err != nil || !done || rest != "" || data != "hello"+strings.Repeat("x", 300) {
		t.Fatalf("got %q, %q, %v, %v", data, rest, done, err)
	}
}

func TestBadChunksAreRefused(t *testing.T) {
	for name, in := range map[string]string{
		"sign":                  "+1\r\na\r\n0\r\n\r\n",
		"minus":                 "-1\r\na\r\n0\r\n\r\n",
		"0x":                    "0x1\r\na\r\n0\r\n\r\n",
		"underscore":            "1_0\r\naaaaaaaaaaaaaaaa\r\n0\r\n\r\n",
		"space before":          " 1\r\na\r\n0\r\n\r\n",
		"space behind":          "1 \r\na\r\n0\r\n\r\n",
		"empty size":            "\r\na\r\n0\r\n\r\n",
		"only extension":        ";a\r\na\r\n0\r\n\r\n",
		"16 digits":             "0000000000000001\r\na\r\n0\r\n\r\n",
		"bare LF":               "1\na\r\n0\r\n\r\n",
		"bare CR":               "1\ra\r\n0\r\n\r\n",
		"bare LF in extension":  "1;a\nb\r\na\r\n0\r\n\r\n",
		"bare CR in extension":  "1;a\rb\r\na\r\n0\r\n\r\n",
		"long extension":        "1;" + strings.Repeat("a", 300) + "\r\na\r\n0\r\n\r\n",
		"data too long":         "1\r\nab\r\n0\r\n\r\n",
		"LF behind data":        "1\r\na\n0\r\n\r\n",
		"other behind data":     "1\r\naXX0\r\n\r\n",
		"trailer without colon": "0\r\nabc\r\n\r\n",
		"folded trailer":        "0\r\nA: b\r\n c\r\n\r\n",
		"space in trailer name": "0\r\nA : b\r\n\r\n",
		"bare LF at the end":    "0\r\n\n",
		"bare LF in trailer":    "0\r\nA: b\n\r\n",
		"long trailer":          "0\r\nA: " + strings.Repeat("b", 5000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1, 3, 10000} {
				if data, _, done, err := decode(in, step); err == nil {
					t.Fatalf("step %d: accepted %q, done %v", step, data, done)
				}
			}
		})
	}
}

func TestManyExtensionsAreRefused(t *testing.T) {
	in := strings.Repeat("1;"+strings.Repeat("e", 200)+"\r\na\r\n", 100)
	if _, _, _, err := decode(in, 1000); err == nil {
		t.Fatal("20 kB of extensions for 100 bytes were read")
	}
}

// Leading zeros of a size are valid (RFC 9112 §7.1): an instance may send more than
// a size has digits, up to the bytes that extensions may have in all.
func TestLeadingZerosOfAResponsesChunks(t *testing.T) {
	for zeros, want := range map[int]bool{1: true, 14: true, 19: true, 1000: true, maxExtTotal + 2: false} {
		var body Body
		body.Start(ByChunks, 0)
		body.Tolerate()
		in := []byte(strings.Repeat("0", zeros) + "2\r\nok\r\n" + strings.Repeat("0", zeros) + "\r\n\r\n")
		var data []byte
		for len(in) > 0 && !body.Done() {
			d, n, err := body.Take(in)
			if err != nil {
				break
			}
			data, in = append(data, d...), in[n:]
		}
		if got := body.Done() && string(data) == "ok"; got != want {
			t.Errorf("%d zeros: %q, done %v, want %v", zeros, data, body.Done(), want)
		}
	}
}
