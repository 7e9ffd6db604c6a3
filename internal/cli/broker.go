package cli

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/profile"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Brokers holds the flags of a verb that connects to Kafka.
type Brokers struct {
	List    []string
	Profile string
	Timeout time.Duration
}

// defaultBroker is the default address of a broker on this machine.
const defaultBroker = "localhost:9092"

// Declare declares -b/--brokers, --profile and --timeout.
func (b *Brokers) Declare(f *pflag.FlagSet) {
	f.StringSliceVarP(&b.List, "brokers", "b", nil, "`host:port,...` of the cluster (default SMARTLB_KAFKA_BROKERS, KAFKA_BROKER, the profile in use or "+defaultBroker+")")
	f.StringVar(&b.Profile, "profile", "", "`name` of a profile with brokers and credentials (default SMARTLB_PROFILE); see smartlb profile")
	f.DurationVar(&b.Timeout, "timeout", 15*time.Second, "longest wait for an answer")
}

// Cluster describes the brokers that a command connects to.
type Cluster struct {
	Brokers  []string
	Origin   string // the source of the brokers: a flag, a variable, the profile in use or default
	Profile  string // name of the profile; empty: no profile
	Security kafka.Security
	Signing  sign.Config // keys of the profile; without any, those of SMARTLB_SIGNING_KEYS
}

// Cluster returns the brokers that a command connects to. It uses the first of these sources that is set: --brokers,
// --profile, SMARTLB_KAFKA_BROKERS, SMARTLB_PROFILE, KAFKA_BROKER, the profile in use, the default. It never sends
// credentials to other brokers than intended. The credentials of a profile are for its own brokers, or for --brokers if
// --profile is given too. The credentials of SMARTLB_KAFKA_TLS_... and SMARTLB_KAFKA_SASL_... are for brokers without a
// profile.
func (b Brokers) Cluster(env *Env) (Cluster, error) {
	named, isNamed, err := profile.Named(env.Getenv, b.Profile)
	if err != nil && len(b.List) > 0 && b.Profile == "" {
		named, isNamed, err = profile.Chosen{}, false, nil // --brokers without --profile ignores SMARTLB_PROFILE
	}
	if err != nil {
		return Cluster{}, Usagef("%w", err)
	}
	of := func(c profile.Chosen) Cluster {
		return Cluster{c.Brokers, c.Origin + " " + c.Name, c.Name, c.Security(), c.Signing}
	}
	variable := func(name string) []string { return split(env.Getenv(name)) }
	for _, name := range []string{"SMARTLB_KAFKA_BROKERS", "KAFKA_BROKER"} {
		if value := env.Getenv(name); value != "" && len(variable(name)) == 0 {
			return Cluster{}, Usagef("%s=%s names no broker: set it to host:port,... or unset it", name, value)
		}
	}
	switch {
	case len(b.List) > 0 && b.Profile != "":
		return Cluster{b.List, "--brokers", named.Name, named.Security(), named.Signing}, nil
	case len(b.List) > 0:
		return b.bare(env, b.List, "--brokers")
	case b.Profile != "":
		return of(named), nil
	case len(variable("SMARTLB_KAFKA_BROKERS")) > 0:
		return b.bare(env, variable("SMARTLB_KAFKA_BROKERS"), "SMARTLB_KAFKA_BROKERS")
	case isNamed:
		return of(named), nil
	case len(variable("KAFKA_BROKER")) > 0:
		return b.bare(env, variable("KAFKA_BROKER"), "KAFKA_BROKER")
	}
	inUse, ok, err := profile.InUse(env.Getenv)
	if err != nil {
		return Cluster{}, err
	}
	if ok {
		return of(inUse), nil
	}
	return b.bare(env, []string{defaultBroker}, "default")
}

// bare returns a cluster without a profile.
func (b Brokers) bare(env *Env, brokers []string, origin string) (Cluster, error) {
	security, err := config.KafkaSecurity(env.Getenv)
	if err != nil {
		return Cluster{}, Usagef("%w", err)
	}
	return Cluster{Brokers: brokers, Origin: origin, Security: security}, nil
}

func split(list string) (out []string) {
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Resolve returns the brokers and their source: flag, environment, profile or default.
func (b Brokers) Resolve(env *Env) (brokers []string, origin string) {
	c, err := b.Cluster(env)
	if err != nil {
		return []string{defaultBroker}, "default" // Config returns the error
	}
	return c.Brokers, c.Origin
}

// Answering returns the settings of Config. If there are several brokers, it selects a broker that responds.
func (b Brokers) Answering(ctx context.Context, env *Env) (kafka.Config, error) {
	cfg, err := b.Config(env)
	if err != nil {
		return cfg, err
	}
	return cfg.Answering(ctx), nil
}

// Config returns the client settings of a command. They send records without linger.
func (b Brokers) Config(env *Env) (kafka.Config, error) {
	cfg := kafka.Default()
	c, err := b.Cluster(env)
	if err != nil {
		return cfg, err
	}
	cfg.Brokers, cfg.Security, cfg.Getenv, cfg.Linger = c.Brokers, c.Security, env.Getenv, 0
	if b.Timeout > 0 {
		cfg.RequestTimeout, cfg.DeliveryTimeout = b.Timeout, b.Timeout
	}
	keys := c.Signing
	if len(keys.Keys) == 0 {
		if keys, err = config.SigningKeys(env.Getenv); err != nil {
			return cfg, Usagef("%w", err)
		}
	}
	if cfg.Signing, err = keys.Ring(env.Getenv, os.ReadFile); err != nil {
		return cfg, Usagef("signing: %w", err)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, Usagef("%s: %w", c.Origin, err)
	}
	if err := cfg.Ready(); err != nil {
		return cfg, Usagef("%s: %w", c.Origin, err)
	}
	return cfg, nil
}
