package cli

import "os/user"

// Author returns the author of a change for the records: SMARTLB_AUTHOR, else the user who called sudo, else the user.
func Author(env *Env) string {
	if v, _ := env.First("SMARTLB_AUTHOR", "SUDO_USER", "USER"); v != "" {
		return v
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
