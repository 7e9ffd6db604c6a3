// Command helm checks a chart as helm lint --strict does, and renders it as helm template does, with Helm's own packages. The
// command of Helm itself would need many more modules.
//
//	go run -C test/kubernetes ./helm CHART NAMESPACE [VALUES.yaml]
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
}

// release is the name under which the chart is rendered.
const release = "smartlb"

func run(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return fmt.Errorf("usage: go run -C test/kubernetes ./helm CHART NAMESPACE [VALUES.yaml]")
	}
	values := chartutil.Values{}
	if len(args) == 3 {
		var err error
		if values, err = chartutil.ReadValuesFile(args[2]); err != nil {
			return err
		}
	}
	for _, m := range lint.All(args[0], values, args[1], true).Messages {
		if m.Severity > support.InfoSev {
			return fmt.Errorf("lint: %s", m)
		}
	}
	chart, err := loader.Load(args[0])
	if err != nil {
		return err
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: release, Namespace: args[1], Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if text := strings.TrimSpace(files[name]); text != "" && strings.HasSuffix(name, ".yaml") {
			fmt.Printf("---\n%s\n", strings.TrimPrefix(text, "---\n"))
		}
	}
	return nil
}
