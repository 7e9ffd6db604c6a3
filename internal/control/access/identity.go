package access

import (
	"context"
	"fmt"
)

// Role says what a user may do. A higher role includes the rights of all lower roles.
type Role int

// Roles, from the lowest.
const (
	Viewer   Role = iota // read only
	Operator             // also drain, reset groups, produce, restart connectors, silence alerts
	Admin                // also change topics, settings, configuration, connectors
)

var roleNames = [...]string{"viewer", "operator", "admin"}

func (r Role) String() string { return roleNames[r] }

// ParseRole returns the role with a name.
func ParseRole(name string) (Role, error) {
	for i, n := range roleNames {
		if n == name {
			return Role(i), nil
		}
	}
	return Viewer, fmt.Errorf("unknown role %q, want viewer, operator or admin", name)
}

// Identity is the caller. The zero value has the role Viewer and no name.
type Identity struct {
	User string
	Role Role
}

// Local is the identity of a caller on a listener that requires no credentials. Such a listener is on loopback or was
// opened on purpose.
func Local() Identity { return Identity{User: "local", Role: Admin} }

// Token is the identity of a node or program that sends the token of the nodes.
func Token() Identity { return Identity{User: "token", Role: Admin} }

type identityKey struct{}

// With returns a context that carries an identity.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// From returns the identity of a request. It returns Local if no credentials were required.
func From(ctx context.Context) Identity {
	if id, ok := ctx.Value(identityKey{}).(Identity); ok {
		return id
	}
	return Local()
}
