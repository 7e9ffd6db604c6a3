package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// frontEndKeys lists the keys of both sections with their defaults as people
// write them.
func frontEndKeys() map[string]string {
	out := map[string]string{}
	d := Default().Proxy
	for section, v := range map[string]reflect.Value{"limits": reflect.ValueOf(d.Limits), "timeouts": reflect.ValueOf(d.Timeouts)} {
		for i := range v.NumField() {
			value := fmt.Sprint(v.Field(i).Interface())
			if t, ok := v.Field(i).Interface().(time.Duration); ok {
				value = strings.TrimSuffix(strings.TrimSuffix(t.String(), "0s"), "0m")
				if t < time.Hour {
					value = fmt.Sprintf("%ds", int(t.Seconds()))
				}
			}
			out["proxy."+section+"."+v.Type().Field(i).Tag.Get("yaml")] = value
		}
	}
	return out
}

// Every key stands in the docs with its default.
func TestLimitsAndTimeoutsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := frontEndKeys()
	if len(keys) < 13 {
		t.Fatalf("%d keys", len(keys))
	}
	for key, value := range keys {
		if !strings.Contains(string(page), "| `"+key+"` | "+value+" |") {
			t.Errorf("docs/http.md has no row for %s with the default %s", key, value)
		}
	}
}

// A value out of range is an error with its line, also from the environment.
func TestLimitsOutOfRangeAreRefused(t *testing.T) {
	for key, bad := range map[string][]string{
		"limits.headBytes": {"0", "1023", "65536"}, "limits.headers": {"0", "-1", "1001"}, "limits.targetBytes": {"0", "63", "16385"},
		"limits.bodyBytes": {"-1"}, "limits.connections": {"-1", "10000001"}, "limits.idlePerInstance": {"0", "1", "65537"},
		"timeouts.idle": {"0s", "99ms", "1000h", "5"}, "timeouts.head": {"0s"}, "timeouts.body": {"0s"}, "timeouts.stream": {"0s"},
		"timeouts.halfClosed": {"0s"}, "timeouts.tunnel": {"0s"}, "timeouts.keep": {"0s", "-1s"},
	} {
		section, name, _ := strings.Cut(key, ".")
		for _, value := range bad {
			_, err := Parse([]byte("proxy:\n  " + section + ":\n    " + name + ": " + value + "\n"))
			if err == nil || !strings.Contains(err.Error(), "line 3: proxy."+key+": ") {
				t.Errorf("%s: %s gives %v", key, value, err)
			}
			d := Default()
			variable := "SMARTLB_PROXY_" + strings.ToUpper(section) + "_" + upperSnake(name)
			if err := Environment(&d, func(n string) string {
				if n == variable {
					return value
				}
				return ""
			}); err == nil {
				t.Errorf("%s=%s is taken", variable, value)
			}
		}
	}
	d, err := Parse([]byte("proxy:\n  limits: {headBytes: 32768, targetBytes: 30000}\n  timeouts: {stream: 24h}\n"))
	if err != nil || d.Proxy.Limits.TargetBytes != 30000 || d.Proxy.Limits.Headers != 100 || d.Proxy.Timeouts.Stream != 24*time.Hour || d.Proxy.Timeouts.Idle != time.Minute {
		t.Errorf("%v, %+v", err, d.Proxy)
	}
}
