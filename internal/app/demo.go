package app

import (
	"context"
	"net/http"
	"net/url"

	"github.com/smartlb/smartlb/internal/console/api"
)

// Demo gives the API access to the demo instances. The zero value means that there is no demo.
type Demo struct {
	Fault  func(ctx context.Context, instance string, f *api.Fault) error // a nil fault removes the fault
	Faults func() map[string]api.Fault                                    // faults of the broken instances

	Load    func() api.DemoLoad                            // nil: the demo sends no load
	SetLoad func(ctx context.Context, scale float64) error // nil: the load cannot be changed
}

// remoteDemo connects the API to the demo of the proxy that this console shows. If the proxy has no demo, its responses
// say so.
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
