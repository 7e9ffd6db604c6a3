package config

import "slices"

// ReservedHeaders returns the names of all headers with which listeners describe client certificates. Clients must not
// send them on any listener of a node: an instance may get requests of several listeners, and cannot tell them apart.
func ReservedHeaders(listeners []Listener) (names []string) {
	for _, l := range listeners {
		if l.TLS == nil {
			continue
		}
		for _, name := range []string{l.TLS.Clients.SubjectHeader, l.TLS.Clients.FingerprintHeader} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
