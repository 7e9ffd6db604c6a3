package topic

import (
	"strings"
	"testing"
)

// `configs set broker:1 log.retention.ms=1000` deleted data without a preview.
func TestSettingsOfABrokerThatLoseRecordsAreDangerous(t *testing.T) {
	for _, c := range []struct{ key, from, to, says string }{
		{"log.retention.ms", "604800000", "1000", "records older than 1 s are deleted"},
		{"log.retention.ms", "-1", "1000", "deleted"},
		{"log.retention.hours", "168", "1", "records older than 1 h are deleted"},
		{"log.retention.minutes", "", "1", ""},
		{"log.retention.ms", "1000", "604800000", ""},
		{"log.retention.bytes", "-1", "1024", "the oldest records"},
		{"log.cleanup.policy", "delete", "compact", "compaction"},
		{"log.cleanup.policy", "compact,delete", "delete,compact", ""},
		{"message.max.bytes", "1048588", "1000", "refused"},
		{"unclean.leader.election.enable", "false", "true", "lost"},
		{"log.cleaner.threads", "2", "1", ""},
		{"offsets.retention.minutes", "10080", "1", "committed offsets of groups without members are deleted after 1 min"},
		{"offsets.retention.minutes", "", "1", "committed offsets"},
		{"offsets.retention.minutes", "1", "10080", ""},
		{"transactional.id.expiration.ms", "604800000", "1", "stored twice"},
		{"log.cleaner.delete.retention.ms", "86400000", "0", "deleted keys"},
		{"log.message.timestamp.before.max.ms", "9223372036854775807", "1", "refused"},
	} {
		got := BrokerDanger(c.key, c.from, c.to)
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s from %s to %s: %q, want %q", c.key, c.from, c.to, got, c.says)
		}
	}
}

func TestSettingsOfATopicThatLoseRecordsAreDangerous(t *testing.T) {
	for _, c := range []struct{ key, from, to, says string }{
		{"delete.retention.ms", "86400000", "0", "do not learn of deleted keys"},
		{"delete.retention.ms", "0", "86400000", ""},
		{"message.timestamp.before.max.ms", "9223372036854775807", "1000", "more than 1 s ago are refused"},
		{"message.timestamp.after.max.ms", "", "1000", "more than 1 s ahead are refused"},
		{"message.timestamp.difference.max.ms", "1000", "2000", ""},
		{"remote.log.delete.on.disable", "false", "true", "deleted"},
		{"remote.storage.enable", "true", "false", "remote storage"},
		{"remote.storage.enable", "false", "true", ""},
	} {
		if got := Danger(c.key, c.from, c.to); c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s from %s to %s: %q, want %q", c.key, c.from, c.to, got, c.says)
		}
	}
}

func TestTheOrderOfPoliciesIsNoDifference(t *testing.T) {
	for _, c := range []struct {
		key, a, b string
		same      bool
	}{
		{"cleanup.policy", "compact,delete", "delete,compact", true},
		{"cleanup.policy", "compact, delete", "delete,compact", true},
		{"cleanup.policy", "compact", "delete,compact", false},
		{"retention.ms", "1", "1", true},
		{"leader.replication.throttled.replicas", "0:1,1:1", "1:1,0:1", false},
	} {
		if got := SameConfig(c.key, c.a, c.b); got != c.same {
			t.Errorf("%s %s and %s: %v", c.key, c.a, c.b, got)
		}
	}
	plan := Rules{}.configs(Spec{Name: "a", Configs: map[string]string{"cleanup.policy": "compact,delete"}}, Actual{Configs: map[string]string{"cleanup.policy": "delete,compact"}})
	if len(plan) != 0 {
		t.Errorf("the plan changes %v", plan)
	}
}
