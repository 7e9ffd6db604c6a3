package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/console/apiclient"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/config"
)

// AdminFlag declares --admin.
func AdminFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "admin", "", "`address` of a node's admin API (default SMARTLB_ADMIN_ADDRESS or "+config.DefaultAdmin+")")
}

// AdminClient calls the admin API of a node.
type AdminClient struct {
	api     *apiclient.Client
	address string
	token   func() (string, error) // nil: no token
}

// adminTimeout limits a call. A node answers within 10 s.
const adminTimeout = 15 * time.Second

// Admin returns a client for address. If address is empty, it uses the environment or the default.
func Admin(env *Env, address string) AdminClient {
	if address == "" {
		address, _ = env.First("SMARTLB_ADMIN_ADDRESS")
	}
	if address == "" {
		address = config.DefaultAdmin
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	address = strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/") // as it stands in a browser
	c := AdminClient{api: apiclient.New(apiclient.Config{Timeout: adminTimeout, Proxy: http.ProxyFromEnvironment}), address: address}
	if ref, _ := env.First("SMARTLB_ADMIN_TOKEN"); ref != "" {
		c.token = func() (string, error) { return secret.Ref(ref).Resolve(env.Getenv, os.ReadFile) }
	}
	return c
}

// Get sends a GET request and decodes the response into v.
func (c AdminClient) Get(ctx context.Context, path string, v any) error {
	return c.Do(ctx, http.MethodGet, path, nil, v)
}

// Do sends body as JSON (nil: no body) and decodes the response into v. Its errors are those of apiclient; their text
// includes the hint.
func (c AdminClient) Do(ctx context.Context, method, path string, body, v any) error {
	if _, port, err := net.SplitHostPort(c.address); err != nil || port == "" {
		return Usagef("admin address %s: want host:port, such as %s", c.address, config.DefaultAdmin)
	}
	node := apiclient.Node{URL: "http://" + c.address}
	if c.token != nil {
		token, err := c.token()
		if err != nil {
			return Usagef("SMARTLB_ADMIN_TOKEN: %w", err)
		}
		node.Token = token
	}
	err := c.api.Do(ctx, node, method, path, body, v)
	var p *problem.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: is smartlb running? name its admin address with --admin", c.address)
	case errors.As(err, &p) && p.Hint != "":
		return fmt.Errorf("%w (%s)", err, p.Hint)
	}
	return err
}

// Instances returns the ids of all instances, for completion. On an error it returns none.
func (c AdminClient) Instances(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var services []struct{ Instances []struct{ ID string } }
	if c.Get(ctx, "/api/v1/services", &services) != nil {
		return nil
	}
	var out []string
	for _, s := range services {
		for _, i := range s.Instances {
			out = append(out, i.ID)
		}
	}
	return out
}
