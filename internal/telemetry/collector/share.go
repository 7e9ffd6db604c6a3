package collector

import "github.com/smartlb/smartlb/internal/dataplane/upstream"

// Owner returns the node that asks an instance: the one with the highest hash of node and instance (rendezvous hashing). All
// nodes that know the same nodes compute the same owner, and if a node leaves, only its instances move. It returns "" if
// there are no nodes.
func Owner(nodes []string, service, instance string) string {
	best, owner := uint64(0), ""
	key := make([]byte, 0, 128)
	for _, n := range nodes {
		key = append(append(append(append(append(key[:0], n...), 0), service...), 0), instance...)
		if h := upstream.Hash(key); owner == "" || h > best || h == best && n < owner {
			best, owner = h, n
		}
	}
	return owner
}
