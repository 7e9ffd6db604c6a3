package cli

import "os/user"

// Author names the person at the terminal, for what is recorded about a change:
// SMARTLB_AUTHOR, else the one who called sudo, else the user.
func Author(env *Env) string {
	if v, _ := env.First("SMARTLB_AUTHOR", "SUDO_USER", "USER"); v != "" {
		return v
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
