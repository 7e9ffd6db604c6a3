package app

import (
	"context"

	"github.com/smartlb/smartlb/internal/console/api"
)

// Demo gives the API access to the demo instances. The zero value means that there is no demo.
type Demo struct {
	Fault  func(ctx context.Context, instance string, f *api.Fault) error // a nil fault removes the fault
	Faults func() map[string]api.Fault                                    // faults of the broken instances

	Load    func() api.DemoLoad                            // nil: the demo sends no load
	SetLoad func(ctx context.Context, scale float64) error // nil: the load cannot be changed
}
