package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	description "github.com/smartlb/smartlb/api"
	"github.com/smartlb/smartlb/internal/console/problem"
)

// TopicSchema is the schema for the values of a topic.
type TopicSchema struct {
	File   string          `json:"file"` // file in api/schemas
	Schema json.RawMessage `json:"schema"`
}

// topicSchema returns the JSON Schema that the catalog names for a topic.
func (s *Server) topicSchema(r *http.Request) (any, error) {
	name := r.PathValue("topic")
	spec, known := s.src.Topics.Catalog().Find(name)
	switch {
	case !known:
		return nil, problem.New(problem.NotFound, fmt.Errorf("%s has no schema: it is not in the catalog", name), "deployment/kafka/topics.yaml names the schema of each topic")
	case spec.Schema == "":
		return nil, problem.New(problem.NotFound, fmt.Errorf("%s has no schema: its values may be any bytes", name), "deployment/kafka/topics.yaml names the schema of each topic")
	}
	doc, err := description.Schemas.ReadFile("schemas/" + spec.Schema)
	if err != nil {
		return nil, err
	}
	return TopicSchema{File: spec.Schema, Schema: doc}, nil
}
