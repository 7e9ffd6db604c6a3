package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
)

// guarded is a node with three users whose name is their role and their
// password "password-ROLE".
func guarded(t *testing.T, readOnly bool, audit func(event.AuditLog)) http.Handler {
	t.Helper()
	var cfg access.Config
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		hash, err := bcrypt.GenerateFromPassword([]byte("password-"+role.String()), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Users = append(cfg.Users, access.User{Name: role.String(), Hash: string(hash), Role: role})
	}
	gate, err := access.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	src := full()
	src.Gate, src.ReadOnly, src.Audit = gate, readOnly, audit
	return api.Guard(api.New(src, quiet))
}

// request is a request of a user whose password guarded knows; an empty user sends none.
func request(method, target, body, user string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8083"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.SetBasicAuth(user, "password-"+user)
	}
	return r
}

func answerTo(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ask(h http.Handler, method, target, body, user string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := request(method, target, body, user)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return answerTo(h, r)
}

const overrideCall = "/api/v1/services/s/instances/a/override"

// Every call but those of the login wants to know who calls, whatever it is.
func TestWithoutALoginNothingIsServed(t *testing.T) {
	d := describe(t)
	h := guarded(t, false, nil)
	open := map[string]bool{"GET /api/v1/login": true, "POST /api/v1/login": true, "POST /api/v1/logout": true, "GET /api/v1/login/oidc": true, "GET /api/v1/login/oidc/callback": true}
	for path, item := range d.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			method = strings.ToUpper(method)
			body := ""
			if method != "GET" && method != "DELETE" {
				body = "{}"
			}
			w := ask(h, method, strings.NewReplacer("{", "", "}", "").Replace(path), body, "")
			if got := w.Code == http.StatusUnauthorized; got == open[method+" "+path] && (path != "/api/v1/login" || method != "POST") {
				t.Errorf("%s %s answers a client without a login with %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	if w := ask(h, "GET", "/api/v1/nothing", "", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a client without a login learns that a path does not exist: %d", w.Code)
	}
}

func TestRolesDecideWhoChanges(t *testing.T) {
	var records []event.AuditLog
	h := guarded(t, false, func(r event.AuditLog) { records = append(records, r) })
	for user, want := range map[string]int{"viewer": 403, "operator": 200, "admin": 200} {
		records = nil
		if w := ask(h, "POST", overrideCall, `{"action":"drain"}`, user); w.Code != want {
			t.Errorf("%s: %d %s", user, w.Code, w.Body)
		}
		if len(records) != 1 || records[0].Actor.ID != user || (records[0].Result == event.ResultDenied) != (want == 403) {
			t.Errorf("%s: audit %+v", user, records)
		}
		if w := ask(h, "GET", "/api/v1/overview", "", user); w.Code != 200 {
			t.Errorf("%s may not look: %d", user, w.Code)
		}
	}
	if r := records; len(r) == 1 && r[0].Result == event.ResultSuccess && (r[0].Action != "drain.instance" || r[0].Target.ID != "s/a" || len(r[0].After) == 0) {
		t.Errorf("audit %+v", r[0])
	}
}

// An operator sent a revision to config-updates in an admin's name, or a node
// status with another address, by the call that sends messages.
func TestReservedTopicsAndGroupsNeedAdmin(t *testing.T) {
	h := guarded(t, false, nil)
	const message = `{"key":"k","value":"{}","anyway":true}`
	reserved := []string{"config-updates", "smartlb-node-status", "smartlb-rate-limits", "audit-logs", "access-logs", "alerts", "health-scores", "metrics-aggregated", "smartlb-rekey", "routing-decisions", "connect-configs", "__consumer_offsets"}
	type row struct {
		path, body string
		admin      bool
	}
	rows := []row{
		{"/topics/service-metrics/messages", message, false}, {"/topics/health-status/messages", message, false}, {"/topics/orders/messages", message, false}, {"/topics/service-metrics.dlq/messages", message, false},
		{"/groups/orders/reset", `{"to":"earliest"}`, false}, {"/groups/smartlb-analyzer/reset", `{"to":"earliest"}`, true}, {"/groups/connect-sink/reset", `{"to":"earliest"}`, true},
	}
	for _, name := range reserved {
		rows = append(rows, row{"/topics/" + name + "/messages", message, true})
	}
	for _, c := range rows {
		for user, may := range map[string]bool{"viewer": false, "operator": !c.admin, "admin": true} {
			w := ask(h, "POST", "/api/v1"+c.path, c.body, user) // groups are not found, which comes after
			if (w.Code != 403) != may {
				t.Errorf("%s to %s: %d %s", user, c.path, w.Code, w.Body)
			}
			if c.admin && user == "operator" && !strings.Contains(w.Body.String(), "needs the role admin") {
				t.Errorf("the reason is %s", w.Body)
			}
			if w := ask(h, "POST", "/api/v1"+c.path+"?dryRun=true", c.body, user); w.Code == 403 {
				t.Errorf("preview by %s to %s: %d %s", user, c.path, w.Code, w.Body)
			}
		}
	}
	if w := ask(h, "DELETE", "/api/v1/groups/smartlb-analyzer/topics/service-metrics", "", "operator"); w.Code != 403 {
		t.Errorf("an operator deletes the analyzer's offsets: %d %s", w.Code, w.Body)
	}
}

func TestReadOnlyRefusesEverybody(t *testing.T) {
	h := guarded(t, true, nil)
	for _, user := range []string{"viewer", "operator", "admin"} {
		w := ask(h, "POST", overrideCall, `{"action":"drain"}`, user)
		if w.Code != 403 || !strings.Contains(w.Body.String(), "read-only") {
			t.Errorf("%s: %d %s", user, w.Code, w.Body)
		}
	}
	var me api.Me
	if err := json.Unmarshal(ask(h, "GET", "/api/v1/me", "", "admin").Body.Bytes(), &me); err != nil || !me.ReadOnly || me.Role != "admin" {
		t.Errorf("%+v %v", me, err)
	}
}

func TestALoginLastsUntilTheLogout(t *testing.T) {
	d := describe(t)
	var records []event.AuditLog
	h := guarded(t, false, func(r event.AuditLog) { records = append(records, r) })
	if w := ask(h, "POST", "/api/v1/login", `{"user":"admin","password":"wrong"}`, ""); w.Code != 401 || len(w.Result().Cookies()) != 0 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := ask(h, "POST", "/api/v1/login", `{"user":"admin","password":"password-admin"}`, "")
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 2 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.answer("POST", "/api/v1/login", 200, w.Result().Header.Get("Content-Type"), w.Body.Bytes())
	if len(records) != 2 || records[0].Result != event.ResultDenied || records[1].Result != event.ResultSuccess {
		t.Errorf("audit %+v", records)
	}
	if w := ask(h, "POST", overrideCall, `{"action":"drain"}`, "", cookies...); w.Code != 200 {
		t.Errorf("by cookie: %d %s", w.Code, w.Body)
	}
	if w := ask(h, "POST", "/api/v1/logout", "{}", "", cookies...); w.Code != 200 {
		t.Errorf("logout: %d", w.Code)
	}
	if w := ask(h, "GET", "/api/v1/node", "", "", cookies...); w.Code != 401 {
		t.Errorf("after the logout: %d", w.Code)
	}
	for range 12 {
		w = ask(h, "POST", "/api/v1/login", `{"user":"viewer","password":"wrong"}`, "")
	}
	if w.Code != 429 || w.Result().Header.Get("Retry-After") == "" {
		t.Errorf("after many tries: %d %v", w.Code, w.Result().Header)
	}
	d.check("/components/schemas/Problem", w.Body.Bytes())
}

// Failed logins are told apart from what users do: anybody can cause them.
func TestFailedLoginsAreCountedApart(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := access.New(access.Config{Users: []access.User{{Name: "ann", Hash: string(hash), Role: access.Admin}}, Issuer: &access.Issuer{URL: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	var records []event.AuditLog
	var strangers []string
	src := full()
	src.Gate, src.Audit = gate, func(a event.AuditLog) { records = append(records, a) }
	src.Unauthenticated = func(a event.AuditLog, address string) {
		strangers = append(strangers, a.Action+" "+a.Actor.ID+" "+address)
	}
	h := api.Guard(api.New(src, quiet))
	ask(h, "POST", "/api/v1/login", `{"user":"eve","password":"wrong"}`, "")
	ask(h, "GET", "/api/v1/login/oidc/callback?code=x&state=y", "", "")
	ask(h, "GET", "/api/v1/login/oidc/callback?error=access_denied", "", "")
	if want := []string{"login.user eve 192.0.2.1", "login.user  192.0.2.1", "login.user  192.0.2.1"}; strings.Join(strangers, ";") != strings.Join(want, ";") || len(records) != 0 {
		t.Errorf("strangers %q, records %+v", strangers, records)
	}
	if w := ask(h, "POST", "/api/v1/login", `{"user":"ann","password":"password"}`, ""); w.Code != 200 || len(records) != 1 || records[0].Actor.ID != "ann" {
		t.Errorf("%d, records %+v", w.Code, records)
	}
}
