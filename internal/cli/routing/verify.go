package routing

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
)

func verifyAudit(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, audit.Result]{
		Use: "verify", Short: "Verify the audit log: each node's chain of records",
		Long:    "Each audit record carries the SHA-256 of the previous record of its node. Reads all of audit-logs and shows where\nrecords are missing or were changed. Exit status 1 if a chain is not intact. Without signing keys, records that a\nclient added to the topic cannot be recognised: the column authenticity shows whether keys are in use.",
		Example: "  smartlb audit verify\n  smartlb audit verify -o json | jq '.chains[].breaks'",
		Flags:   func(f *pflag.FlagSet, b *cli.Brokers) { b.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, b cli.Brokers) (audit.Result, error) {
			var v audit.Verifier
			cfg, err := b.Answering(ctx, env)
			if err != nil {
				return v.Result(), err
			}
			ctx, cancel := context.WithTimeout(ctx, b.Timeout)
			defer cancel()
			for chunk, err := range records.Consume(ctx, cfg, records.ConsumeSpec{Topic: event.TopicAuditLogs, Beginning: true}) {
				if err != nil {
					return v.Result(), err
				}
				for _, r := range chunk.Records {
					v.AddSigned(r.Value, cfg.Verify(r))
				}
			}
			r := v.Result()
			if r.State != audit.Intact {
				err = cli.ErrFailed
			}
			return r, err
		},
		Table: chainTable,
	}.Command(env)
}

func chainTable(r audit.Result) cli.Table {
	t := cli.Table{Head: []string{"NODE", "STATE", "RECORDS", "BEGINS", "WITHOUT CHAIN", "REPEATED", "NUMBERS"}}
	for _, c := range r.Chains {
		t.Rows = append(t.Rows, []string{
			c.Node, c.State, fmt.Sprint(c.Records), fmt.Sprint(c.Begins), fmt.Sprint(c.Unchained), fmt.Sprint(c.Repeated), fmt.Sprintf("%d-%d", c.FirstSeq, c.LastSeq),
		})
		for _, b := range c.Breaks {
			t.Below = append(t.Below, fmt.Sprintf("%s: %s, from %d to %d: %s", c.Node, b.State, b.FromSeq, b.ToSeq, b.Text))
		}
	}
	if r.Unreadable > 0 {
		t.Below = append(t.Below, fmt.Sprintf("%d messages of the topic are not audit records", r.Unreadable))
	}
	if r.Omitted > 0 {
		t.Below = append(t.Below, fmt.Sprintf("%d records of further nodes were not verified", r.Omitted))
	}
	t.Below = append(t.Below, "the chains are "+r.State)
	t.Below = append(t.Below, "authenticity "+r.Authenticity+": "+r.Note)
	return t
}
