package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/cli"
)

func TestTheClusterIsTheFirstThatIsNamedAndCredentialsStayWithTheirBrokers(t *testing.T) {
	dir := t.TempDir()
	file := `use: mine
profiles:
  mine: {brokers: ["mine:9093"], tls: {enabled: true}, sasl: {mechanism: PLAIN, user: me, password: "${env:PW}"}}
  other: {brokers: ["other:9093"], sasl: {mechanism: PLAIN, user: them, password: "${env:PW}"}}
`
	if err := os.WriteFile(filepath.Join(dir, "profiles.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		env     string // NAME=value, separated by blanks
		b       cli.Brokers
		broker  string
		origin  string
		user    string // of the login; empty: none
		refused string
	}{
		{"nothing is said", "SMARTLB_CONFIG_DIR=/nowhere", cli.Brokers{}, "localhost:9092", "default", "", ""},
		{"a profile is in use", "PW=x", cli.Brokers{}, "mine:9093", "profile in use mine", "me", ""},
		{"KAFKA_BROKER outranks it, and gets none of its credentials", "PW=x KAFKA_BROKER=k:9092", cli.Brokers{}, "k:9092", "KAFKA_BROKER", "", ""},
		{"SMARTLB_PROFILE outranks KAFKA_BROKER", "PW=x KAFKA_BROKER=k:9092 SMARTLB_PROFILE=other", cli.Brokers{}, "other:9093", "SMARTLB_PROFILE other", "them", ""},
		{"SMARTLB_KAFKA_BROKERS outranks SMARTLB_PROFILE", "PW=x SMARTLB_KAFKA_BROKERS=s:9092 SMARTLB_PROFILE=other", cli.Brokers{}, "s:9092", "SMARTLB_KAFKA_BROKERS", "", ""},
		{"--profile outranks variables", "PW=x SMARTLB_KAFKA_BROKERS=s:9092", cli.Brokers{Profile: "other"}, "other:9093", "--profile other", "them", ""},
		{"--brokers outranks all", "PW=x SMARTLB_PROFILE=other", cli.Brokers{List: []string{"b:1"}}, "b:1", "--brokers", "", ""},
		{"--brokers beside --profile takes its credentials", "PW=x", cli.Brokers{List: []string{"b:1"}, Profile: "mine"}, "b:1", "--brokers", "me", ""},
		{"credentials by variables", "PW=x KAFKA_BROKER=k:9092 SMARTLB_KAFKA_SASL_MECHANISM=PLAIN SMARTLB_KAFKA_SASL_USER=var SMARTLB_KAFKA_SASL_PASSWORD=${env:PW}", cli.Brokers{}, "k:9092", "KAFKA_BROKER", "var", ""},
		{"credentials by variables do not go to a profile", "PW=x SMARTLB_KAFKA_SASL_MECHANISM=PLAIN SMARTLB_KAFKA_SASL_USER=var SMARTLB_KAFKA_SASL_PASSWORD=${env:PW}", cli.Brokers{}, "mine:9093", "profile in use mine", "me", ""},
		{"an unknown profile", "PW=x", cli.Brokers{Profile: "nobody"}, "", "", "", "profiles: mine, other"},
		{"an unknown profile by a variable", "PW=x SMARTLB_PROFILE=nobody", cli.Brokers{}, "", "", "", "SMARTLB_PROFILE"},
		{"which does not matter with --brokers", "PW=x SMARTLB_PROFILE=nobody", cli.Brokers{List: []string{"b:1"}}, "b:1", "--brokers", "", ""},
		{"a variable that names nothing", "PW=x KAFKA_BROKER=,", cli.Brokers{}, "", "", "", "KAFKA_BROKER=, names no broker"},
		{"a password that is not there", "", cli.Brokers{}, "", "", "", "PW is not set"},
	} {
		t.Run(row.name, func(t *testing.T) {
			vars := map[string]string{"SMARTLB_CONFIG_DIR": dir}
			for pair := range strings.FieldsSeq(row.env) {
				k, v, _ := strings.Cut(pair, "=")
				vars[k] = v
			}
			env := &cli.Env{Getenv: func(n string) string { return vars[n] }}
			cfg, err := row.b.Config(env)
			if row.refused != "" {
				if err == nil || !strings.Contains(err.Error(), row.refused) || cli.Code(err) != cli.ExitUsage {
					t.Errorf("got %v with code %d, want %q", err, cli.Code(err), row.refused)
				}
				return
			}
			_, origin := row.b.Resolve(env)
			if err != nil || cfg.Brokers[0] != row.broker || origin != row.origin || cfg.Security.SASL.User != row.user {
				t.Errorf("got %v from %s as %q, %v", cfg.Brokers, origin, cfg.Security.SASL.User, err)
			}
		})
	}
}
