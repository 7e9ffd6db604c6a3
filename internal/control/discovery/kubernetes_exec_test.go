package discovery

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// A kubeconfig may name a program that logs in. One that hangs must not hold the source, nor the end of the node.
func TestALoginProgramThatHangsHoldsNothing(t *testing.T) {
	_, r := newCluster(t)
	dir := t.TempDir()
	kubeconfig, over := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "over")
	write(t, kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: a, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ["-c", %q], interactiveMode: Never}}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a
`, r.URL, "until test -e "+over+"; do sleep 0.1; done"))
	defer func() {
		write(t, over, "")
		eventually(t, "the end of the programs", func() bool { return len(loggingIn) == 0 })
	}()
	access, err := NewKubernetesAccess(config.KubernetesNode{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := access.Get(ctx, "/api/v1/pods"); return err },
		func(ctx context.Context) error {
			s := kubernetesSource{access: access, namespace: "shop", service: "payments", wait: time.Minute, timeout: time.Minute, most: 10, nodes: &nodeRegions{}}
			_, err := s.follow(ctx, func([]config.Instance, error) {})
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		select {
		case err := <-done:
			if err == nil || err.Error() != "no answer in time" {
				t.Errorf("got %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the source waits for the program")
		}
	}
}
