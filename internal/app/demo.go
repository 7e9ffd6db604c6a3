package app

import (
	"context"
	"net/http"
	"net/url"

	"github.com/smartlb/smartlb/internal/console/api"
)

// Demo is how the API reaches the demo instances; the zero value is no demo.
type Demo struct {
	Fault  func(ctx context.Context, instance string, f *api.Fault) error // nil fault: heal
	Faults func() map[string]api.Fault                                    // of the broken instances

	Load    func() api.DemoLoad                            // nil: it sends none
	SetLoad func(ctx context.Context, scale float64) error // nil: it cannot be changed
}

// remoteDemo reaches the demo of the proxy that this console shows; where that
// has none, its answers say so.
func (a *App) remoteDemo(s *api.Sources) {
	const path = "/api/v1/demo"
	told := func(ctx context.Context, path string, body any) error {
		var answer struct{ Result string }
		return a.tellProxy(ctx, http.MethodPost, path, body, &answer)
	}
	s.Demo = func(ctx context.Context) (d api.DemoState, err error) { return d, a.askProxy(ctx, path, &d) }
	s.SetLoad = func(ctx context.Context, scale float64) error {
		return told(ctx, path+"/load", map[string]float64{"scale": scale})
	}
	s.SetPolicy = func(ctx context.Context, service, policy, _ string) error {
		return told(ctx, path+"/services/"+url.PathEscape(service)+"/policy", map[string]string{"policy": policy})
	}
	s.Fault = func(ctx context.Context, instance string, f *api.Fault) error {
		var body any = map[string]bool{"heal": true}
		if f != nil {
			body = f
		}
		return told(ctx, path+"/instances/"+url.PathEscape(instance)+"/fault", body)
	}
}
