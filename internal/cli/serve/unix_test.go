package serve

import "testing"

func TestFlagsWithUnixSockets(t *testing.T) {
	d, err := proxyArgs{from: "unix:/run/smartlb/web.sock", to: []string{"unix:/run/shop/a.sock", "127.0.0.1:9001"}, policy: "adaptive"}.document()
	if err != nil {
		t.Fatal(err)
	}
	in := d.Services[0].Instances
	if d.Listeners[0].Address != "unix:/run/smartlb/web.sock" || in[0].ID != "run-shop-a.sock" || in[0].Address != "unix:/run/shop/a.sock" || in[1].ID != "127.0.0.1:9001" {
		t.Errorf("listeners %+v, instances %+v", d.Listeners, in)
	}
	if _, err := (proxyArgs{from: ":80", to: []string{"unix:/run/../a.sock"}, policy: "adaptive"}).document(); err == nil {
		t.Error("a path with dots was accepted")
	}
}
