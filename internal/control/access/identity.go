package access

import (
	"context"
	"fmt"
)

// Role is what somebody may do. A higher role may do all that a lower one may.
type Role int

// Roles, from the lowest.
const (
	Viewer   Role = iota // look
	Operator             // and steer: drain, reset groups, produce, restart connectors, silence alerts
	Admin                // and change what is there: topics, settings, configuration, connectors
)

var roleNames = [...]string{"viewer", "operator", "admin"}

func (r Role) String() string { return roleNames[r] }

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	for i, n := range roleNames {
		if n == name {
			return Role(i), nil
		}
	}
	return Viewer, fmt.Errorf("%q is no role: viewer, operator or admin is expected", name)
}

// Identity is who calls. The zero value may look and has no name.
type Identity struct {
	User string
	Role Role
}

// Local is whoever reaches a listener that asks for no credentials, which is
// on loopback or was opened on purpose.
func Local() Identity { return Identity{User: "local", Role: Admin} }

// Token is a node or a program that brings the token of the nodes.
func Token() Identity { return Identity{User: "token", Role: Admin} }

type identityKey struct{}

// With returns a context that carries an identity.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// From gives the identity of a request; Local where nobody asked for
// credentials.
func From(ctx context.Context) Identity {
	if id, ok := ctx.Value(identityKey{}).(Identity); ok {
		return id
	}
	return Local()
}
