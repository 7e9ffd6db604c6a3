package event

import (
	"errors"
	"fmt"
)

// Rules for several fields of one message. validate and decode call them through the method rules.

func (m *ServiceMetrics) rules() error {
	if m.InstanceID == InstanceAll {
		return at("instanceId", errInstanceAll)
	}
	return nil
}

func (m *Metrics) rules() error {
	if *m == (Metrics{}) {
		return errors.New("no known number")
	}
	return nil
}

func (h *HealthStatus) rules() error {
	if h.InstanceID == InstanceAll {
		return at("instanceId", errInstanceAll)
	}
	return nil
}

func (d *HealthDetails) rules() error {
	if d.StatusCode < 0 || d.StatusCode > 999 {
		return at("statusCode", fmt.Errorf("%d is no HTTP status", d.StatusCode))
	}
	return nil
}

func (d *RoutingDecision) rules() error {
	if d.Kind == KindChange && d.Change == (StandingChange{}) {
		return at("change", errMissing)
	}
	return nil
}

func (c *ConfigUpdate) rules() error {
	var bad []error
	switch c.Kind {
	case KindRevision:
		if c.Revision == "" {
			bad = append(bad, at("revision", errMissing))
		}
		if c.Document == "" {
			bad = append(bad, at("document", errMissing))
		}
		if !isSHA256(c.SHA256) {
			bad = append(bad, at("sha256", errors.New("want 64 lower-case hexadecimal digits")))
		}
	case KindOverride:
		if c.Override == (Override{}) {
			bad = append(bad, at("override", errMissing))
		}
	case KindSilence:
		if c.Silence.ID == "" {
			bad = append(bad, at("silence", errMissing))
		}
	case KindChallenge:
		if c.Challenge.Name == "" {
			bad = append(bad, at("challenge", errMissing))
		}
	}
	return errors.Join(bad...)
}

func (o *Override) rules() error {
	if o.Action == ActionWeight && !o.Weight.Set {
		return at("weight", errMissing)
	}
	return nil
}

func (s *Silence) rules() error {
	if s.RuleID == "" && len(s.Labels) == 0 {
		return errors.New("neither ruleId nor labels: it would silence everything")
	}
	return nil
}

func (a *AuditLog) rules() error {
	if a.Prev != "" && !isSHA256(a.Prev) {
		return at("prev", errors.New("want 64 lower-case hexadecimal digits"))
	}
	return nil
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
