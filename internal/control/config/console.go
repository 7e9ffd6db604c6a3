package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/kafka/mask"
)

// Access returns the configuration of logins. The document must be checked. getenv and read resolve the client's
// secret.
func (c Console) Access(getenv func(string) string, read func(string) ([]byte, error)) (access.Config, error) {
	out := access.Config{Secure: c.TLS.Cert != "", TrustedProxies: c.TrustedProxies}
	for _, u := range c.Users {
		role, _ := access.ParseRole(u.Role)
		out.Users = append(out.Users, access.User{Name: u.Name, Hash: u.PasswordHash, Role: role})
	}
	o := c.OIDC
	if o.Issuer == "" {
		return out, nil
	}
	password := ""
	if o.ClientSecret != "" {
		var err error
		if password, err = o.ClientSecret.Resolve(getenv, read); err != nil {
			return out, fmt.Errorf("console.oidc.clientSecret: %w", err)
		}
	}
	i := access.Issuer{
		URL: o.Issuer, ClientID: o.ClientID, ClientSecret: password, RedirectURL: o.RedirectURL, Scopes: o.Scopes,
		NameClaim: o.NameClaim, RolesClaim: o.RolesClaim, Roles: map[string]access.Role{},
	}
	for group, name := range o.Roles {
		i.Roles[group], _ = access.ParseRole(name)
	}
	if o.DefaultRole != "" {
		role, _ := access.ParseRole(o.DefaultRole)
		i.Default = &role
	}
	out.Issuer = &i
	return out, nil
}

// Masks returns the rules that hide parts of messages.
func (c Console) Masks() mask.Rules {
	var out mask.Rules
	for _, m := range c.Mask {
		out = append(out, mask.Rule{Topics: m.Topics, Fields: m.Fields, Headers: m.Headers, Key: m.Key})
	}
	return out
}

func (c *checker) console(n Console) {
	c.address("console.address", n.Address, true)
	if (n.TLS.Cert == "") != (n.TLS.Key == "") {
		c.fail("console.tls", "want cert and key, both")
	}
	for i, h := range n.Hosts {
		if h == "" || strings.ContainsAny(h, ":/ *") {
			c.fail(fmt.Sprintf("console.hosts[%d]", i), "%q: want a name like console.example.com, without port", h)
		}
	}
	names := map[string]string{}
	for i, u := range n.Users {
		path := fmt.Sprintf("console.users[%d]", i)
		c.id(path+".name", u.Name)
		c.unique(path+".name", "user", u.Name, names)
		if err := access.CheckHash(u.PasswordHash); err != nil {
			c.fail(path+".passwordHash", "%v", err)
		}
		c.role(path+".role", u.Role)
	}
	c.oidc(n.OIDC)
	for i, m := range n.Masks() {
		if err := m.Check(); err != nil {
			c.fail(fmt.Sprintf("console.mask[%d]", i), "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
}

func (c *checker) role(path, name string) {
	if _, err := access.ParseRole(name); err != nil {
		c.fail(path, "%v", err)
	}
}

// callbackPath is the path to which the issuer sends the browser back.
const callbackPath = "/api/v1/login/oidc/callback"

func (c *checker) oidc(o OIDC) {
	const path = "console.oidc"
	if o.Issuer == "" {
		if o.ClientID != "" || o.RedirectURL != "" || len(o.Roles) > 0 {
			c.fail(path+".issuer", "missing: want the issuer's https address")
		}
		return
	}
	for key, text := range map[string]string{"issuer": o.Issuer, "redirectUrl": o.RedirectURL} {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !slices.Contains([]string{"https", "http"}, u.Scheme) {
			c.fail(path+"."+key, "%q: want an address like https://login.example.com", text)
			continue
		}
		host := u.Hostname()
		if u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
			c.fail(path+"."+key, "%q: want https; tokens must not be sent in plain text", text)
		}
		if key == "redirectUrl" && u.Path != callbackPath {
			c.fail(path+"."+key, "%q: want the console's address with the path %s", text, callbackPath)
		}
	}
	if o.ClientID == "" {
		c.fail(path+".clientId", "missing")
	}
	if o.ClientSecret != "" {
		if err := o.ClientSecret.Check(); err != nil {
			c.fail(path+".clientSecret", "%v", err)
		}
	}
	if len(o.Roles) == 0 && o.DefaultRole == "" {
		c.fail(path+".roles", "missing: no user would have a role; want {GROUP: viewer, operator or admin}, or defaultRole")
	}
	for group, name := range o.Roles {
		c.role(path+".roles."+group, name)
	}
	if o.DefaultRole != "" {
		c.role(path+".defaultRole", o.DefaultRole)
	}
}
