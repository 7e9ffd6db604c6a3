package configcmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

type signingSecret struct {
	Secret string `json:"secret"`
}

// signingKey is `smartlb config signing-key`.
func signingKey(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.None, signingSecret]{
		Use: "signing-key", Short: "Make the secret of a signing key",
		Long: "Prints 256 random bits in base64. Put them into a file on all nodes and operators' machines, and name the file in\n" +
			"signing.keys of the node's configuration or of a profile, or in SMARTLB_SIGNING_KEYS='ID=${file:/path}'.",
		Example: "  (umask 077; smartlb config signing-key > /run/secrets/smartlb-signing)",
		Run: func(context.Context, *cli.Env, cli.None) (signingSecret, error) {
			return signingSecret{sign.NewSecret()}, nil
		},
		Table: func(s signingSecret) cli.Table { return cli.Table{Above: []string{s.Secret}} },
	}.Command(env)
}
