package discovery

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// nodeRegions are the regions of the nodes of a cluster: EndpointSlices have zones only. All sources of a process share them. The
// zero value is ready; it is safe for concurrent use.
type nodeRegions struct {
	mu     sync.Mutex        // held while the nodes are read
	byName map[string]string // never changed; "": the node has no region
	next   time.Time         // the nodes are not read before
}

// Bounds of reading nodes.
const (
	nodesPace     = 30 * time.Second // between two readings, because endpoints can name nodes that do not exist
	nodesRefused  = 5 * time.Minute  // after an answer that the login may not read nodes
	nodesPerPage  = 500
	maxNodes      = 20_000 // more than Kubernetes supports
	labelOfRegion = "topology.kubernetes.io/region"

	// metadataOnly asks for names and labels: a whole node has the list of its images.
	metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// of returns the regions of nodes. It reads the nodes if one that is needed is not known, and returns what was known before if that
// fails: the region is a hint.
func (n *nodeRegions) of(ctx context.Context, client *rest.RESTClient, needed func(known map[string]string) bool, now time.Time) map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Before(n.next) || !needed(n.byName) {
		return n.byName
	}
	n.next = now.Add(nodesPace)
	found, refused, err := readRegions(ctx, client)
	switch {
	case refused:
		n.next = now.Add(nodesRefused)
	case err == nil:
		n.byName = found
	}
	return n.byName
}

// readRegions lists the nodes, page by page. refused is true if the login may not.
func readRegions(ctx context.Context, client *rest.RESTClient) (found map[string]string, refused bool, err error) {
	found = map[string]string{}
	for next := ""; ; {
		r := client.Get().AbsPath("/api/v1/nodes").Param("limit", strconv.Itoa(nodesPerPage)).SetHeader("Accept", metadataOnly).MaxRetries(0)
		if next != "" {
			r = r.Param("continue", next)
		}
		status := 0
		result := r.Do(ctx).StatusCode(&status)
		src, err := result.Raw()
		if err != nil {
			return nil, status == 403, err
		}
		var page struct {
			Metadata struct{ Continue string }
			Items    []struct {
				Metadata struct {
					Name   string
					Labels map[string]string
				}
			}
		}
		if err := json.Unmarshal(src, &page); err != nil {
			return nil, false, err
		}
		for _, node := range page.Items {
			region := node.Metadata.Labels[labelOfRegion]
			if !tagText(region) || !tagText(node.Metadata.Name) {
				continue
			}
			found[node.Metadata.Name] = region
		}
		if len(found) > maxNodes {
			return nil, false, fmt.Errorf("more than %d nodes", maxNodes)
		}
		if next = page.Metadata.Continue; next == "" || len(page.Items) == 0 {
			return found, false, nil
		}
	}
}

// unknownNode reports whether an endpoint is on a node that is not known.
func (s *endpointSlices) unknownNode(known map[string]string) bool {
	for _, slice := range s.byName {
		for _, e := range slice.endpoints {
			if name := e.Tags["node"]; name != "" {
				if _, ok := known[name]; !ok {
					return true
				}
			}
		}
	}
	return false
}

// locate sets the regions of endpoints, and reports whether one is new. Tags that were handed out before do not change.
func (s *endpointSlices) locate(regions map[string]string) (changed bool) {
	for _, slice := range s.byName {
		for i := range slice.endpoints {
			e := &slice.endpoints[i]
			region := regions[e.Tags["node"]]
			if region == "" || e.Tags["region"] == region {
				continue
			}
			tags := maps.Clone(e.Tags)
			tags["region"] = region
			e.Tags, changed = tags, true
		}
	}
	return changed
}
