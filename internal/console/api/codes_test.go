package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
)

// Programs rely on codes. A real request produces each of them, and the description lists no other.
func TestEachCodeIsProducedAndDescribed(t *testing.T) {
	failing := func(err error) api.Sources {
		src := full()
		src.Overview = func(context.Context) (api.Overview, error) { return api.Overview{}, err }
		src.Messages = messages{search: func(context.Context, browse.Query, browse.Found) (browse.End, error) { return browse.End{}, err }}
		return src
	}
	const drain, search = `{"action":"drain"}`, "/api/v1/topics/t/search"
	users := guarded(t, false, nil)
	plain := func(src api.Sources) http.Handler { return api.Guard(api.New(src, quiet)) }
	readOnly := full()
	readOnly.ReadOnly = true
	var produced []problem.Code
	for _, c := range []struct {
		code           problem.Code
		h              http.Handler
		method, target string
		body, user     string
		headers        [2]string
	}{
		{problem.Invalid, plain(full()), "POST", overrideCall, `{"action":"explode"}`, "", [2]string{}},
		{problem.Refused, plain(failing(errors.New("t: there is no partition 9, it has 3"))), "GET", search, "", "", [2]string{}},
		{problem.Unauthenticated, users, "GET", "/api/v1/node", "", "", [2]string{}},
		{problem.Unauthenticated, users, "POST", "/api/v1/login", `{"user":"viewer","password":"wrong"}`, "", [2]string{}},
		{problem.Forbidden, users, "POST", overrideCall, drain, "viewer", [2]string{}},
		{problem.ReadOnly, plain(readOnly), "POST", overrideCall, drain, "", [2]string{}},
		{problem.OtherOrigin, plain(full()), "POST", overrideCall, drain, "", [2]string{"Sec-Fetch-Site", "cross-site"}},
		{problem.OtherOrigin, plain(full()), "GET", "/api/v1/node", "", "", [2]string{"Sec-Fetch-Site", "cross-site"}},
		{problem.DeniedByKafka, plain(failing(kerr.TopicAuthorizationFailed)), "GET", search, "", "", [2]string{}},
		{problem.NotFound, plain(full()), "GET", "/api/v1/instances/z/explain", "", "", [2]string{}},
		{problem.NotServed, plain(full()), "GET", "/api/v1/nodes", "", "", [2]string{}},
		{problem.NotServed, plain(api.Sources{}), "GET", "/api/v1/overview", "", "", [2]string{}},
		{problem.NotServed, plain(api.Sources{}), "GET", "/api/v1/decisions/events", "", "", [2]string{}},
		{problem.Conflict, plain(full()), "DELETE", "/api/v1/topics/__consumer_offsets", "", "", [2]string{}},
		{problem.TooLarge, plain(full()), "POST", overrideCall, `{"action":"` + strings.Repeat("x", 1<<20) + `"}`, "", [2]string{}},
		{problem.NotJSON, plain(full()), "POST", overrideCall, drain, "", [2]string{"Content-Type", "text/plain"}},
		{problem.WrongHost, plain(full()), "GET", "/api/v1/node", "", "", [2]string{"Host", "evil.example"}},
		{problem.Unavailable, plain(failing(kerr.CoordinatorNotAvailable)), "GET", search, "", "", [2]string{}},
		{problem.Busy, plain(failing(browse.ErrBusy)), "GET", search, "", "", [2]string{}},
		{problem.Timeout, plain(failing(context.DeadlineExceeded)), "GET", "/api/v1/overview", "", "", [2]string{}},
		{problem.Internal, plain(failing(errors.New("disk"))), "GET", "/api/v1/overview", "", "", [2]string{}},
	} {
		r := request(c.method, c.target, c.body, c.user)
		switch {
		case c.headers[0] == "Host":
			r.Host = c.headers[1]
		case c.headers[0] != "":
			r.Header.Set(c.headers[0], c.headers[1])
		}
		produced = append(produced, c.code)
		expectCode(t, answerTo(c.h, r), c.code)
	}
	for range 12 { // the failed logins of one user within a minute
		answerTo(users, request("POST", "/api/v1/login", `{"user":"viewer","password":"wrong"}`, ""))
	}
	expectCode(t, answerTo(users, request("POST", "/api/v1/login", `{"user":"viewer","password":"wrong"}`, "")), problem.Limited)
	produced = append(produced, problem.Limited)

	var described []problem.Code
	for _, v := range lookup(describe(t).doc, "components", "schemas", "ProblemCode", "enum").([]any) {
		described = append(described, problem.Code(v.(string)))
	}
	slices.Sort(produced)
	slices.Sort(described)
	codes := problem.Codes()
	slices.Sort(codes)
	if got := slices.Compact(produced); !slices.Equal(got, codes) || !slices.Equal(described, codes) {
		t.Errorf("produced %q\ndescribed %q\ncodes %q", got, described, codes)
	}
}

// expectCode checks that an answer is a problem with the code, and has the status of the code.
func expectCode(t *testing.T, w *httptest.ResponseRecorder, want problem.Code) {
	t.Helper()
	var p problem.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != want || p.Error == "" || w.Code != want.Status() {
		t.Errorf("%d %s, want %d with the code %s; %v", w.Code, w.Body, want.Status(), want, err)
	}
}
