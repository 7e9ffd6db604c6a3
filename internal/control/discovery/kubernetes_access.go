package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/smartlb/smartlb/internal/control/config"
)

// KubernetesAccess is how the node logs in at the API server. Its methods are safe for concurrent use.
type KubernetesAccess struct {
	kubeconfig string // "": the service account of the pod
	context    string // of kubeconfig; "": its current one
}

// NewKubernetesAccess returns an error if the node has no access, or its kubeconfig cannot be used.
func NewKubernetesAccess(node config.KubernetesNode) (KubernetesAccess, error) {
	a := KubernetesAccess{kubeconfig: node.Kubeconfig, context: node.Context}
	_, err := a.load()
	return a, err
}

// load reads the kubeconfig, or the files of the service account, with all certificates.
func (a KubernetesAccess) load() (*rest.Config, error) {
	var cfg *rest.Config
	var err error
	if a.kubeconfig == "" {
		cfg, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("this node runs in no pod of Kubernetes: name a kubeconfig in discovery.kubernetes.kubeconfig")
		}
	} else {
		cfg, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: a.kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: a.context}).ClientConfig()
	}
	if err == nil {
		err = rest.LoadTLSFiles(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("discovery.kubernetes: %w", err)
	}
	return cfg, nil
}

// connect returns a client for EndpointSlices alone, with tokens and certificates as they are now, and a function that closes
// connections which nothing uses. Answers are bounded by MaxAnswer.
func (a KubernetesAccess) connect() (*rest.RESTClient, func(), error) {
	cfg, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	scheme := runtime.NewScheme()
	if err := discoveryv1.AddToScheme(scheme); err != nil {
		return nil, nil, err
	}
	group := discoveryv1.SchemeGroupVersion
	cfg.GroupVersion, cfg.APIPath = &group, "/apis"
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	cfg.UserAgent, cfg.WarningHandler = "smartlb", rest.NoWarnings{}
	cfg.QPS = -1 // the pace of the source is the limit
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return boundedAnswers{next} })
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("discovery.kubernetes: %w", err)
	}
	if cfg.ExecProvider != nil {
		client.Transport = boundedLogin{client.Transport}
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the login is for this server only
	out, err := rest.RESTClientForConfigAndClient(cfg, client)
	return out, func() { utilnet.CloseIdleConnectionsFor(client.Transport) }, err
}

// Get returns the body of an answer in JSON with status 200, of at most MaxAnswer bytes.
func (a KubernetesAccess) Get(ctx context.Context, path string) ([]byte, error) {
	client, closeIdle, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer closeIdle()
	src, err := client.Get().AbsPath(path).SetHeader("Accept", runtime.ContentTypeJSON).MaxRetries(0).DoRaw(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, reason(ctx.Err())
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("the API server answers 403: a role with the verb for %s must be bound to this login", path)
	case err != nil:
		return nil, reason(err)
	}
	return src, nil
}

// boundedLogin ends a request when its context ends, also while the program of a kubeconfig that logs in runs: client-go waits for it
// without a limit.
type boundedLogin struct{ http.RoundTripper }

// loggingIn bounds the requests that wait for such programs.
var loggingIn = make(chan struct{}, 64)

// RoundTrip implements http.RoundTripper.
func (i boundedLogin) RoundTrip(r *http.Request) (*http.Response, error) {
	type answer struct {
		*http.Response
		error
	}
	select {
	case loggingIn <- struct{}{}:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	done := make(chan answer, 1)
	go func() {
		defer func() { <-loggingIn }()
		resp, err := i.RoundTripper.RoundTrip(r)
		if err == nil && r.Context().Err() != nil { // the caller has left
			resp.Body.Close()
		}
		done <- answer{resp, err}
	}()
	select {
	case a := <-done:
		return a.Response, a.error
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// WrappedRoundTripper lets client-go find the transport.
func (i boundedLogin) WrappedRoundTripper() http.RoundTripper { return i.RoundTripper }

// boundedAnswers limits the bodies of all responses but those of watches, whose events client-go limits.
type boundedAnswers struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil && (r.URL.Query().Get("watch") == "" || resp.StatusCode != http.StatusOK) {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: MaxAnswer}
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport.
func (b boundedAnswers) WrappedRoundTripper() http.RoundTripper { return b.RoundTripper }

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
