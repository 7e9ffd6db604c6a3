package config

import (
	"strings"
	"testing"
	"time"
)

func TestMistakesInKubernetesAreNamed(t *testing.T) {
	for section, want := range map[string]string{
		"{kubernetes: {service: payments}}":                                                     "",
		"{kubernetes: {service: payments, namespace: shop, port: http, wait: 5s, timeout: 1s}}": "",
		"{kubernetes: {service: payments, port: 8080}}":                                         "",
		"{kubernetes: {service: 7-eleven, port: 65535}}":                                        "",
		"{}":                                                       "want file, http, dns, consul, kubernetes or kafka",
		"{kubernetes: {}}":                                         `kubernetes.service: "": want a name of 1 to 63 small letters, digits and dashes`,
		"{kubernetes: {service: Payments}}":                        `kubernetes.service: "Payments": want a name`,
		"{kubernetes: {service: payments.shop}}":                   `kubernetes.service: "payments.shop": want a name`,
		"{kubernetes: {service: a, namespace: a/b}}":               `kubernetes.namespace: "a/b": want a name`,
		"{kubernetes: {service: 'a,b=c'}}":                         `kubernetes.service: "a,b=c": want a name`,
		"{kubernetes: {service: a, port: -1}}":                     `kubernetes.port: "-1": want the name of a port such as http, or a number from 1 to 65535`,
		"{kubernetes: {service: a, port: 0}}":                      `kubernetes.port: "0": want the name of a port`,
		"{kubernetes: {service: a, port: 65536}}":                  `kubernetes.port: "65536": want the name of a port`,
		"{kubernetes: {service: a, port: HTTP}}":                   `kubernetes.port: "HTTP": want the name of a port`,
		"{kubernetes: {service: a, wait: 900ms}}":                  "kubernetes.wait: want 1s to 10m, got 900ms",
		"{kubernetes: {service: a, wait: 11m}, staleAfter: 1h}":    "kubernetes.wait: want 1s to 10m, got 11m0s",
		"{kubernetes: {service: a, timeout: 0s}}":                  "kubernetes.timeout: want 100ms to 60s, got 0s",
		"{kubernetes: {service: a}, staleAfter: 60s}":              "discovery.staleAfter: want more than kubernetes.wait, which is 1m0s, got 1m0s",
		"{kubernetes: {service: a, kubeconfig: /root/.kube/conf}}": "kubernetes.kubeconfig: unknown key",
	} {
		d, err := Check([]byte("services: [{id: s, discovery: " + section + "}]\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", section, err, want)
		}
		if err == nil {
			if k := d.Services[0].Discovery.Kubernetes; k.Namespace == "" || k.Wait < 5*time.Second || k.Timeout < time.Second {
				t.Errorf("%s: defaults are missing: %+v", section, k)
			}
		}
	}
	if _, err := Parse([]byte("discovery: {kubernetes: {context: prod}}\n")); err == nil || !strings.Contains(err.Error(), "discovery.kubernetes.context: has no effect without kubeconfig") {
		t.Error(err)
	}
}
