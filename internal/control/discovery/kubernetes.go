package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// kubernetesSource follows the EndpointSlices of a service of Kubernetes: it lists them, and then watches them.
type kubernetesSource struct {
	access             KubernetesAccess
	namespace, service string
	port               string // name or number; "": the only one
	wait               time.Duration
	timeout            time.Duration
	most               int // instances
	nodes              *nodeRegions
}

// Bounds of the source.
const (
	kubernetesPace = 500 * time.Millisecond // shortest time between two requests, and between two reports of changes: 5,000 endpoints that change all the time cost little
	slicesPerPage  = 200                    // with 100 endpoints each, as Kubernetes writes them, far less than MaxAnswer
)

// run lists and watches. It lists anew after each failure, and when the version that it has seen is too old for a
// watch, or a watch ends early without an event.
func (s kubernetesSource) run(ctx context.Context, tell report) {
	failures := 0
	for {
		good, err := s.follow(ctx, tell)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			tell(nil, err)
		}
		if good {
			failures = 0
		}
		if !backoff.Sleep(ctx, kubernetesPace+backoff.Policy{Base: time.Second, Max: s.wait}.Delay(failures, rand.Float64())) {
			return
		}
		failures++
	}
}

// follow connects, lists, and watches until something fails. It reports whether a watch has ended in order. Without an error,
// the source must be listed anew.
func (s kubernetesSource) follow(ctx context.Context, tell report) (good bool, err error) {
	client, closeIdle, err := s.access.connect()
	if err != nil {
		return false, err
	}
	defer closeIdle()
	known := newEndpointSlices(s.port, s.most)
	version, err := s.list(ctx, client, known)
	if err != nil {
		return false, s.reason("list", err)
	}
	s.locate(ctx, client, known)
	tell(known.instances())
	for {
		began, from := time.Now(), version
		version, err = s.watch(ctx, client, version, known, tell)
		switch {
		case ctx.Err() != nil:
			return good, nil
		case err == nil && version == from && time.Since(began) < s.wait/2:
			return good, nil // what is cut off looks like an end to the library; a list tells
		case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
			return good, nil
		case err != nil:
			return good, s.reason("watch", err)
		}
		good = true
		if s.locate(ctx, client, known) {
			tell(known.instances())
		}
		if !backoff.Sleep(ctx, max(0, kubernetesPace-time.Since(began))) {
			return good, nil
		}
	}
}

// locate sets the regions of endpoints, and reports whether one is new.
func (s kubernetesSource) locate(ctx context.Context, client *rest.RESTClient, known *endpointSlices) bool {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return known.locate(s.nodes.of(ctx, client, known.unknownNode, time.Now()))
}

// request returns one for the slices of the service.
func (s kubernetesSource) request(client *rest.RESTClient) *rest.Request {
	return client.Get().Namespace(s.namespace).Resource("endpointslices").Param("labelSelector", discoveryv1.LabelServiceName+"="+s.service).MaxRetries(0)
}

// list reads all slices, page by page, and returns their version.
func (s kubernetesSource) list(ctx context.Context, client *rest.RESTClient, known *endpointSlices) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for next := ""; ; {
		r := s.request(client).Param("limit", strconv.Itoa(slicesPerPage))
		if next != "" {
			r = r.Param("continue", next)
		}
		var page discoveryv1.EndpointSliceList
		err := r.Do(ctx).Into(&page)
		if ctx.Err() != nil { // a server may end an answer in order after its client has given up
			return "", ctx.Err()
		}
		if err != nil {
			return "", err
		}
		for i := range page.Items {
			if err := known.put(&page.Items[i]); err != nil {
				return "", err
			}
		}
		if next = page.Continue; next == "" {
			return page.ResourceVersion, nil
		}
	}
}

// errSilent says that a watch has not ended when it should have.
var errSilent = errors.New("the watch has not ended in time")

// watch takes over changes until the API server ends the watch, which it does after wait. It returns the version that was seen
// last. Changes that arrive together, or soon after others, are reported together.
func (s kubernetesSource) watch(ctx context.Context, client *rest.RESTClient, version string, known *endpointSlices, tell report) (string, error) {
	limited, cancel := context.WithTimeout(ctx, s.wait+s.timeout)
	defer cancel()
	r := s.request(client).Param("watch", "true").Param("allowWatchBookmarks", "true").Param("resourceVersion", version)
	w, err := r.Param("timeoutSeconds", strconv.Itoa(max(1, int(s.wait/time.Second)))).Watch(limited)
	if err != nil {
		return version, err
	}
	defer w.Stop()
	tell(nil, errUnchanged)
	var due <-chan time.Time
	var sent time.Time
	for {
		select {
		case <-due:
			due, sent = nil, time.Now()
			s.locate(ctx, client, known)
			tell(known.instances())
		case e, open := <-w.ResultChan():
			if !open {
				return version, s.ended(ctx, limited, due != nil, known, tell)
			}
			slice, err := sliceOf(e)
			if err != nil {
				return version, err
			}
			version = cmp.Or(slice.ResourceVersion, version)
			switch e.Type {
			case watch.Bookmark:
				tell(nil, errUnchanged)
				continue
			case watch.Deleted:
				known.remove(slice.Name)
			default:
				err = known.put(slice)
			}
			if err != nil {
				return version, err
			}
			if due == nil {
				due = time.After(max(stepPace, kubernetesPace-time.Since(sent)))
			}
		}
	}
}

// ended reports what the end of a watch means.
func (s kubernetesSource) ended(ctx, limited context.Context, changed bool, known *endpointSlices, tell report) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case limited.Err() != nil:
		return errSilent
	case changed:
		tell(known.instances())
	default:
		tell(nil, errUnchanged)
	}
	return nil
}

// sliceOf returns the slice of an event.
func sliceOf(e watch.Event) (*discoveryv1.EndpointSlice, error) {
	if e.Type == watch.Error {
		return nil, apierrors.FromObject(e.Object)
	}
	slice, ok := e.Object.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil, fmt.Errorf("the watch sent %T, want an EndpointSlice", e.Object)
	}
	return slice, nil
}

// reason says why a request failed, and what to do.
func (s kubernetesSource) reason(verb string, err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the API server answers 403: a role with the verbs get, list and watch on endpointslices of discovery.k8s.io in the namespace %s must be bound to this login, which may not %s them", s.namespace, verb)
	case apierrors.IsNotFound(err):
		return errors.New("the API server answers 404: it has no EndpointSlices of discovery.k8s.io/v1, or is no API server of Kubernetes")
	}
	return reason(err)
}

func reason(err error) error {
	var status apierrors.APIStatus
	var of *url.Error
	switch {
	case apierrors.IsUnauthorized(err):
		return errors.New("the API server answers 401: it does not know the login; has its token or certificate expired?")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &of):
		return withoutURL(err)
	case errors.As(err, &status):
		return fmt.Errorf("the API server answers %d: %w", status.Status().Code, err)
	}
	return err
}

// kubernetesName is the name of a source.
func kubernetesName(namespace, service, port string) string {
	name := "kubernetes " + namespace + "/" + service
	if port != "" {
		name += ":" + port
	}
	return name
}
