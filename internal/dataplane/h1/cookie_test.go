package h1

import "testing"

func TestCookie(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; b = 2 ;c; =d; a=3;e=x=y\r\ncookie: f=\"q\"\r\nX-Cookie: g=1\r\n\r\n"
	var r Request
	lim := Limits{}.WithDefaults()
	if _, err := r.Parse([]byte(head), &lim); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "1", "b": "2", "": "d", "e": "x=y", "f": `"q"`, "c": "-", "g": "-", "A": "-", "x": "-"} {
		got, ok := r.Cookie(name)
		if !ok {
			got = []byte("-")
		}
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
