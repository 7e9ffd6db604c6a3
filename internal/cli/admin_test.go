package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/problem"
)

// What a node refuses is an error with its hint in the text and its code beside it.
func TestErrorsOfANodeHaveTheirHintAndCode(t *testing.T) {
	token := ""
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":"this node is read-only","code":"read-only","hint":"use another node"}`)
	}))
	address := node.Listener.Addr().String()
	env := &cli.Env{Getenv: func(name string) string {
		return map[string]string{"SMARTLB_ADMIN_ADDRESS": address, "SMARTLB_ADMIN_TOKEN": "${env:T}", "T": "secret"}[name]
	}}
	err := cli.Admin(env, "").Get(t.Context(), "/api/v1/node", &struct{}{})
	if problem.CodeOf(err) != problem.ReadOnly || err.Error() != "this node is read-only (use another node)" || token != "Bearer secret" {
		t.Errorf("%v (%s), token %q", err, problem.CodeOf(err), token)
	}
	node.Close()
	err = cli.Admin(env, "").Get(t.Context(), "/api/v1/node", &struct{}{})
	if err == nil || !strings.HasPrefix(err.Error(), "nothing listens on "+address) {
		t.Errorf("a node that is down: %v", err)
	}
}
