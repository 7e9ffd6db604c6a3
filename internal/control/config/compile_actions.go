package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// compileActions compiles what a checked route does to requests and responses; nil if it does nothing. budget is what is
// left of action.MaxBodies.
func compileActions(r Route, local Local, budget *int, next *nextAuth) (_ *action.Actions, err error) {
	var out action.Actions
	cors, foreign, err := compileAccess(r, &out, local.Passwords)
	if err != nil {
		return nil, err
	}
	proven, err := next.compile(r, &out, local)
	if err != nil {
		return nil, err
	}
	if out.Request, err = compileEdits(r.RequestHeaders, proven...); err != nil {
		return nil, fmt.Errorf("requestHeaders: %w", err)
	}
	if out.Response, err = compileEdits(HeaderEdits{r.ResponseHeaders.Set, r.ResponseHeaders.Add, slices.Concat(r.ResponseHeaders.Remove, foreign)}, cors...); err != nil {
		return nil, fmt.Errorf("responseHeaders: %w", err)
	}
	out.Compression = compileCompression(r.Compression)
	if w := r.Rewrite; w != nil {
		path, err := compilePath(w.PathEdit, r.Path)
		if err != nil {
			return nil, fmt.Errorf("rewrite: %w", err)
		}
		out.Rewrite = &action.Rewrite{Host: w.Host, Path: path}
	}
	if d := r.Redirect; d != nil {
		path, err := compilePath(d.PathEdit, r.Path)
		if err != nil {
			return nil, fmt.Errorf("redirect: %w", err)
		}
		out.Redirect = &action.Redirect{Status: cmp.Or(d.Code, 302), Scheme: d.Scheme, Host: d.Host, Port: d.Port, Path: path}
	}
	if r.Response != nil {
		if out.Answer, err = compileResponse(*r.Response, local.Pages, budget); err != nil {
			return nil, fmt.Errorf("response: %w", err)
		}
	}
	out.Fault = compileFault(r.Fault)
	if out.Empty() {
		return nil, nil
	}
	return &out, nil
}

// compileEdits compiles edits of headers, then more. Headers are written in the order of their names: a document has no
// order of keys.
func compileEdits(e HeaderEdits, more ...action.Edit) (*action.Headers, error) {
	var edits []action.Edit
	for _, name := range slices.Sorted(maps.Keys(e.Set)) {
		edits = append(edits, action.Edit{Name: name, Value: e.Set[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(e.Add)) {
		edits = append(edits, action.Edit{Name: name, Value: e.Add[name], Keep: true})
	}
	return action.NewHeaders(append(edits, more...), e.Remove)
}

// compilePath compiles an edit of the path; nil if there is none.
func compilePath(e PathEdit, of Path) (*action.Path, error) {
	switch {
	case e.Path != "":
		return action.NewWholePath(e.Path)
	case e.Prefix != "":
		return action.NewPrefixPath(cmp.Or(of.Prefix, "/"), e.Prefix)
	case e.Regex != "":
		return action.NewRegexPath(e.Regex, e.Replace)
	}
	return nil, nil
}

var errBodies = errors.New("the bodies of all responses together are larger than 16 MiB")

// compilePages compiles the pages of a checked service.
func compilePages(s Service, pages Pages, budget *int) (action.Pages, error) {
	var out action.Pages
	for i, p := range s.ErrorPages {
		page, err := compileResponse(Response{Headers: p.Headers, Body: p.Body, File: p.File}, pages, budget)
		if err != nil {
			return nil, fmt.Errorf("errorPages[%d]: %w", i, err)
		}
		page.Intercept = p.Intercept
		if out == nil {
			out = action.Pages{}
		}
		for _, status := range p.Statuses {
			out[status] = page
		}
	}
	return out, nil
}

func compileResponse(r Response, pages Pages, budget *int) (*action.Response, error) {
	headers, err := compileEdits(HeaderEdits{Set: r.Headers})
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	out := &action.Response{Status: r.Status, Headers: headers, Body: []byte(r.Body)}
	if r.File != "" {
		if out.Body, err = pages.read(r.File); err != nil {
			return nil, err
		}
	}
	if *budget -= len(out.Body); *budget < 0 {
		return nil, errBodies
	}
	return out, nil
}
