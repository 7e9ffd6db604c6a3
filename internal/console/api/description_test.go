package api_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/smartlb/smartlb/api"
)

// description is api/openapi.yaml, ready to hold answers against.
type description struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
}

const documentURL = "https://smartlb.test/openapi.json"

func describe(t *testing.T) *description {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(documentURL, doc); err != nil {
		t.Fatal(err)
	}
	return &description{t: t, doc: doc.(map[string]any), compiler: c}
}

// operation gives one call's pointer and whether it is described.
func (d *description) operation(method, path string) (pointer string, ok bool) {
	_, ok = lookup(d.doc, "paths", path, strings.ToLower(method)).(map[string]any)
	return "/paths/" + escape(path) + "/" + strings.ToLower(method), ok
}

// answer checks the body of a call's answer.
func (d *description) answer(method, path string, status int, contentType string, body []byte) {
	d.t.Helper()
	op, ok := d.operation(method, path)
	if !ok {
		d.t.Errorf("%s %s is not described", method, path)
		return
	}
	if status == 200 {
		if contentType != "application/json" {
			d.t.Errorf("%s %s: content type %q", method, path, contentType)
		}
		d.check(op+"/responses/200/content/application~1json/schema", body)
		return
	}
	if _, has := lookup(d.doc, "paths", path, strings.ToLower(method), "responses", "default").(map[string]any); !has {
		d.t.Errorf("%s %s answered %d and describes no errors", method, path, status)
	}
	d.check("/components/schemas/Problem", body)
}

// event checks the data of one server-sent event.
func (d *description) event(path, name string, data []byte) {
	d.t.Helper()
	op, _ := d.operation("get", path)
	if lookup(d.doc, "paths", path, "get", "responses", "200", "x-events", name) == nil {
		d.t.Errorf("%s: event %q is not described", path, name)
		return
	}
	d.check(op+"/responses/200/x-events/"+name, data)
}

func (d *description) check(pointer string, body []byte) {
	d.t.Helper()
	if err := d.conforms(pointer, body); err != nil {
		d.t.Errorf("%s: %v\nin %.600s", pointer, err, body)
	}
}

func (d *description) conforms(pointer string, body []byte) error {
	d.t.Helper()
	schema, err := d.compiler.Compile(documentURL + "#" + pointer)
	if err != nil {
		d.t.Fatalf("%s: %v", pointer, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

func lookup(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(s)
}

// A schema that accepts anything would make every test of answers pass.
func TestDescriptionRefusesWhatIsNotItsOwn(t *testing.T) {
	d := describe(t)
	good, err := json.Marshal(instance("a"))
	if err != nil {
		t.Fatal(err)
	}
	const schema = "/components/schemas/Instance"
	if err := d.conforms(schema, good); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	for what, change := range map[string]func(map[string]any){
		"a field too many":       func(m map[string]any) { m["colour"] = "red" },
		"a field too few":        func(m map[string]any) { delete(m, "share") },
		"another state":          func(m map[string]any) { m["state"] = "fine" },
		"a ratio above 1":        func(m map[string]any) { m["errorRate"] = 1.5 },
		"a time that is none":    func(m map[string]any) { m["since"] = "yesterday" },
		"a nested field too few": func(m map[string]any) { delete(m["cost"].(map[string]any), "veto") },
		"a longer history":       func(m map[string]any) { m["history"] = make([]int, 121) },
	} {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		bad, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if d.conforms(schema, bad) == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
