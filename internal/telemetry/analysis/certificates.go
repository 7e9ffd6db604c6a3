package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// fewCertificates limits a list of certificates to what alerts can show. The copies release the memory of the message.
func fewCertificates(all []event.Certificate) []event.Certificate {
	const most, longestName, longestReason = 100, 512, 512
	out := []event.Certificate{}
	for _, c := range all[:min(len(all), most)] {
		if len(c.Listener) > longestName || len(c.Service) > longestName || len(c.File) > longestName || c.Expires.IsZero() && c.Refused == "" && c.Order == "" {
			continue
		}
		c.Listener, c.Service, c.File = strings.Clone(c.Listener), strings.Clone(c.Service), strings.Clone(c.File)
		c.Refused = strings.ToValidUTF8(strings.Clone(c.Refused[:min(len(c.Refused), longestReason)]), "")
		c.Order = strings.ToValidUTF8(strings.Clone(c.Order[:min(len(c.Order), longestReason)]), "")
		out = append(out, c)
	}
	return slices.Clip(out)
}

// judgeCertificates fires a rule for each problem that a node reports about its TLS files, and resolves
// it for problems that the node no longer reports.
func (t *Task) judgeCertificates(n *node, now time.Time, fx *Effects) {
	var bad []rule.Judgement
	for _, c := range n.Certificates {
		kind, name, who := "listener", c.Listener, "Clients refuse"
		if c.Service != "" {
			kind, name, who = "service", c.Service, "The instances, or the proxy, refuse"
		}
		j := rule.Judgement{
			Rule: rule.CertificateExpires, Verdict: rule.Bad, Value: event.Some(1),
			Labels:      map[string]string{"node": n.Node, kind: name, "file": c.File},
			Summary:     fmt.Sprintf("certificate %s of %s %s on proxy %s expires on %s", c.File, kind, name, n.Node, c.Expires.UTC().Format(time.RFC3339)),
			Description: who + " an expired certificate. Replace the file; the proxy serves the new certificate within 2 s. An automatic certificate needs no action, unless the alert certificate-order-failed fires.",
		}
		switch {
		case c.Order != "":
			j.Rule = rule.CertificateOrderFailed
			j.Summary = fmt.Sprintf("proxy %s did not obtain the certificate %s of %s %s", n.Node, c.File, kind, name)
			j.Description = fmt.Sprintf("Reason: %s. A stored certificate stays in use. Next order: %s.", c.Order, c.Retry.UTC().Format(time.RFC3339))
		case c.Refused != "":
			j.Rule = rule.CertificateRefused
			j.Summary = fmt.Sprintf("proxy %s does not use the changed file %s of %s %s", n.Node, c.File, kind, name)
			j.Description = "Reason: " + c.Refused + ". The proxy continues with what it read before. Correct the file."
		}
		bad = append(bad, j)
		t.say(j, now, fx)
	}
	for _, a := range t.alerts.Active() {
		for _, r := range [...]rule.Rule{rule.CertificateExpires, rule.CertificateRefused, rule.CertificateOrderFailed} {
			if a.RuleID == r.ID && a.Labels["node"] == n.Node && !slices.ContainsFunc(bad, func(j rule.Judgement) bool {
				return j.Rule.ID == r.ID && maps.Equal(j.Labels, a.Labels)
			}) {
				t.say(rule.Judgement{Rule: r, Verdict: rule.Good, Labels: a.Labels}, now, fx)
			}
		}
	}
}
