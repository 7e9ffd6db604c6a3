package rig

import (
	"context"
	"path/filepath"
)

// StartBroker starts the embedded broker in a process of its own, with its
// data under dir, and waits until it accepts connections at addr.
func StartBroker(ctx context.Context, dir, program, addr string) (*Process, error) {
	return started(ctx, dir, "broker", program, addr, "--broker-listen", addr, "--broker-internal", "")
}

// StartConsole starts a console without a proxy that looks at brokers, and
// waits until it serves at addr.
func StartConsole(ctx context.Context, dir, program, brokers, addr string) (*Process, error) {
	return started(ctx, dir, "console", program, addr, "--kafka", brokers, "--console", addr)
}

func started(ctx context.Context, dir, role, program, addr string, args ...string) (*Process, error) {
	p, err := Start(dir, role, program, append([]string{"run", "--roles", role, "--admin", "127.0.0.1:0", "--data", filepath.Join(dir, role)}, args...)...)
	if err != nil {
		return nil, err
	}
	if err := p.AwaitPort(ctx, addr); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}
