// Package profilecmd holds the verbs of the noun profile. A profile is a named cluster with the settings to connect to
// it.
package profilecmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/profile"
)

// Commands returns the noun profile.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("profile", "Saved clusters: brokers, encryption, credentials",
		"A profile holds the brokers of an existing cluster and the credentials for it. Secrets are references, ${env:NAME}\n"+
			"or ${file:/path}, which are read when a command needs them. A command takes its brokers from the first of:\n"+
			"--brokers, --profile, SMARTLB_KAFKA_BROKERS, SMARTLB_PROFILE, KAFKA_BROKER, the profile in use, localhost:9092.",
		add(env), use(env), list(env), show(env), remove(env))}
}

// entry is a profile in the form that the verbs print.
type entry struct {
	Name  string `json:"name"`
	InUse bool   `json:"inUse"`
	profile.Profile
}

func entryOf(f *profile.File, name string) entry {
	return entry{name, f.Use == name, f.Profiles[name]}
}

func table(entries ...entry) cli.Table {
	t := cli.Table{Head: []string{"NAME", "IN USE", "BROKERS", "TLS", "LOGIN", "USER"}}
	for _, e := range entries {
		t.Rows = append(t.Rows, []string{e.Name, yes(e.InUse), strings.Join(e.Brokers, ","), encryption(e.Profile), e.SASL.Mechanism, cmpOr(e.SASL.User, e.SASL.ClientID)})
	}
	return t
}

func encryption(p profile.Profile) string {
	switch {
	case p.TLS.Insecure:
		return "insecure"
	case p.TLS.Cert != "":
		return "mutual"
	}
	return yes(p.TLS.On())
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

type addArgs struct {
	name                   string
	p                      profile.Profile
	password, clientSecret string
	use, replace           bool
}

func (a *addArgs) flags(f *pflag.FlagSet) {
	f.StringSliceVarP(&a.p.Brokers, "brokers", "b", nil, "`host:port,...` of the cluster")
	f.BoolVar(&a.p.TLS.Enabled, "tls", false, "encrypt with TLS, trusting the system's certificate authorities")
	f.StringVar(&a.p.TLS.CA, "tls-ca", "", "PEM `file` with the certificate authorities of the brokers")
	f.StringVar(&a.p.TLS.Cert, "tls-cert", "", "PEM `file` with the client certificate (mutual TLS)")
	f.StringVar(&a.p.TLS.Key, "tls-key", "", "PEM `file` with the key of the client certificate")
	f.StringVar(&a.p.TLS.ServerName, "tls-server-name", "", "`name` in the brokers' certificates, if it differs from their addresses")
	f.BoolVar(&a.p.TLS.Insecure, "tls-insecure", false, "accept every certificate; an attacker in the network can read and change everything")
	f.StringVar(&a.p.SASL.Mechanism, "sasl", "", "`mechanism`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
	f.StringVar(&a.p.SASL.User, "user", "", "`name` to log in with")
	f.StringVar(&a.password, "password", "", "`reference` to the password: ${env:NAME} or ${file:/path}")
	f.StringVar(&a.p.SASL.TokenURL, "token-url", "", "`URL` of the OAUTHBEARER token endpoint (client credentials)")
	f.StringVar(&a.p.SASL.ClientID, "client-id", "", "client `id` at the token endpoint")
	f.StringVar(&a.clientSecret, "client-secret", "", "`reference` to the client secret: ${env:NAME} or ${file:/path}")
	f.StringSliceVar(&a.p.SASL.Scopes, "scope", nil, "`scope,...` of the token")
	f.StringVar(&a.p.SASL.TokenFile, "token-file", "", "`file` with an OAUTHBEARER token, which another program renews")
	f.BoolVar(&a.use, "use", false, "make it the default profile")
	f.BoolVar(&a.replace, "replace", false, "replace an existing profile of this name")
}

func add(env *cli.Env) *cobra.Command {
	return cli.Verb[addArgs, entry]{
		Use: "add NAME", Short: "Save a cluster as a profile",
		Example: `  smartlb profile add prod -b kafka-1:9093,kafka-2:9093 --tls-ca /etc/ssl/kafka.pem --sasl SCRAM-SHA-512 --user operator --password '${env:KAFKA_PASSWORD}' --use
  smartlb profile add lab -b lab:9092`,
		Flags: func(f *pflag.FlagSet, a *addArgs) { a.flags(f) },
		Args:  cli.Words(func(a *addArgs) []*string { return []*string{&a.name} }, "NAME"),
		Run: func(_ context.Context, env *cli.Env, a addArgs) (entry, error) {
			a.p.SASL.Password, a.p.SASL.ClientSecret = secret.Ref(a.password), secret.Ref(a.clientSecret)
			f, err := profile.Load(env.Getenv)
			if err != nil {
				return entry{}, err
			}
			if err := f.Add(a.name, a.p, a.replace); err != nil {
				return entry{}, cli.Usagef("%w", err)
			}
			if a.use {
				if err := f.Select(a.name); err != nil {
					return entry{}, err
				}
				outranked(env)
			}
			return entryOf(f, a.name), nil
		},
		Table: func(e entry) cli.Table { return table(e) },
	}.Command(env)
}

// outranked warns if a variable takes precedence over the profile in use.
func outranked(env *cli.Env) {
	if _, name := env.First("SMARTLB_KAFKA_BROKERS", "SMARTLB_PROFILE", "KAFKA_BROKER"); name != "" {
		env.Say("smartlb: %s is set and overrides the profile in use; unset it, or use --profile", name)
	}
}

type nameArgs struct {
	name string
	none bool
}

func names(_ context.Context, env *cli.Env, _ *nameArgs, words []string) []string {
	f, err := profile.Load(env.Getenv)
	if err != nil || len(words) > 0 {
		return nil
	}
	return f.Names()
}

func use(env *cli.Env) *cobra.Command {
	return cli.Verb[nameArgs, cli.None]{
		Use: "use NAME", Short: "Choose the default profile of all commands",
		Example: "  smartlb profile use prod\n  smartlb profile use --none",
		Flags:   func(f *pflag.FlagSet, a *nameArgs) { f.BoolVar(&a.none, "none", false, "use no profile") },
		Args: func(a *nameArgs, words []string) error {
			if a.none != (len(words) == 0) || len(words) > 1 {
				return cli.Usagef("want one NAME, or --none")
			}
			if !a.none {
				a.name = words[0]
			}
			return nil
		},
		Complete: names,
		Run: func(_ context.Context, env *cli.Env, a nameArgs) (cli.None, error) {
			f, err := profile.Load(env.Getenv)
			if err != nil {
				return cli.None{}, err
			}
			if err := f.Select(a.name); err != nil {
				return cli.None{}, err
			}
			if a.none {
				env.Say("no profile is in use")
				return cli.None{}, nil
			}
			env.Say("profile %s is in use: %s", a.name, strings.Join(f.Profiles[a.name].Brokers, ","))
			outranked(env)
			return cli.None{}, nil
		},
	}.Command(env)
}

func list(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.None, []entry]{
		Use: "list", Short: "List the profiles", Example: "  smartlb profile list",
		Run: func(context.Context, *cli.Env, cli.None) ([]entry, error) {
			f, err := profile.Load(env.Getenv)
			if err != nil {
				return nil, err
			}
			all := []entry{}
			for _, name := range f.Names() {
				all = append(all, entryOf(f, name))
			}
			return all, nil
		},
		Table: func(all []entry) cli.Table { return table(all...) },
	}.Command(env)
}

func show(env *cli.Env) *cobra.Command {
	return cli.Verb[nameArgs, entry]{
		Use: "show [NAME]", Short: "Show a profile (default: the profile in use)", Example: "  smartlb profile show prod -o yaml",
		Args: func(a *nameArgs, words []string) error {
			if len(words) > 1 {
				return cli.Usagef("unexpected argument %q", words[1])
			}
			if len(words) == 1 {
				a.name = words[0]
			}
			return nil
		},
		Complete: names,
		Run: func(_ context.Context, env *cli.Env, a nameArgs) (entry, error) {
			f, err := profile.Load(env.Getenv)
			if err != nil {
				return entry{}, err
			}
			if a.name == "" {
				c, ok, err := profile.Current(env.Getenv, "")
				if err != nil {
					return entry{}, err
				}
				if !ok {
					return entry{}, cli.Usagef("no profile is in use; smartlb profile list shows all")
				}
				a.name = c.Name
			}
			if _, err := f.Get(a.name); err != nil {
				return entry{}, err
			}
			return entryOf(f, a.name), nil
		},
		Table: func(e entry) cli.Table { return table(e) },
	}.Command(env)
}

func remove(env *cli.Env) *cobra.Command {
	return cli.Verb[nameArgs, cli.None]{
		Use: "remove NAME", Short: "Remove a profile", Example: "  smartlb profile remove lab",
		Args:     cli.Words(func(a *nameArgs) []*string { return []*string{&a.name} }, "NAME"),
		Complete: names,
		Run: func(_ context.Context, env *cli.Env, a nameArgs) (cli.None, error) {
			f, err := profile.Load(env.Getenv)
			if err != nil {
				return cli.None{}, err
			}
			return cli.None{}, f.Remove(a.name)
		},
	}.Command(env)
}
