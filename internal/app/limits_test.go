package app

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Limits and timeouts of the front end existed and nothing read them. Each key
// changes what the proxy gets.
func TestEveryLimitReachesTheProxy(t *testing.T) {
	effect := func(p config.Proxy) string {
		return fmt.Sprintf("%+v, memory %d", proxyConfig(p), newMemory(p.Limits.MemoryBytes).Stats().Limit)
	}
	base := effect(config.Default().Proxy)
	seen := map[string]string{}
	for _, section := range []string{"Limits", "Timeouts"} {
		n := reflect.TypeFor[config.Proxy]()
		f, _ := n.FieldByName(section)
		for i := range f.Type.NumField() {
			p := config.Default().Proxy
			field := reflect.ValueOf(&p).Elem().FieldByName(section).Field(i)
			field.SetInt(field.Int() + 7777 + int64(i))
			name := section + "." + f.Type.Field(i).Name
			got := effect(p)
			if got == base {
				t.Errorf("%s has no effect", name)
			}
			if other, twice := seen[got]; twice {
				t.Errorf("%s and %s have the same effect", name, other)
			}
			seen[got] = name
		}
	}
}

// What an empty file gives are the defaults of the packages.
func TestDefaultsOfTheFileAreThoseOfTheProxy(t *testing.T) {
	c := proxyConfig(config.Default().Proxy)
	if c.IdleTimeout != time.Minute || c.HeadTimeout != 10*time.Second || c.StreamTimeout != time.Hour || !reflect.DeepEqual(c.Limits, c.Limits.WithDefaults()) {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(string(config.Example), "stream: 1h") {
		t.Error("the example does not show them")
	}
}
