package yamlsafe

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
)

// expand refuses aliases that contain themselves, and aliases that expand a small text to a huge text ("billion
// laughs").
func expand(file *ast.File) error {
	for _, doc := range file.Docs {
		e := expansion{anchors: map[string]int{}}
		if n := e.size(doc.Body); e.err == nil && n > maxExpanded {
			e.err = &Error{Text: fmt.Sprintf("aliases make more than %d values of it", maxExpanded)}
		}
		if e.err != nil {
			return e.err
		}
	}
	return nil
}

// expansion records how many values each anchor stands for.
type expansion struct {
	anchors map[string]int
	err     error
}

// size returns the number of values of a node. The inspector limits the depth of the recursion.
func (e *expansion) size(n ast.Node) int {
	if n == nil || e.err != nil {
		return 0
	}
	total := 1
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			total = e.add(total, v)
		}
	case *ast.MappingValueNode:
		total = e.add(e.add(total, n.Key), n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			total = e.add(total, v)
		}
	case *ast.TagNode:
		return e.add(total, n.Value)
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		e.anchors[name] = maxExpanded + 1 // an alias within its own anchor is infinite
		total = e.add(total, n.Value)
		e.anchors[name] = total
	case *ast.AliasNode:
		total += e.anchors[n.Value.GetToken().Value]
	}
	if total > maxExpanded && e.err == nil {
		line := 0
		if t := n.GetToken(); t != nil {
			line = t.Position.Line
		}
		e.err = &Error{Line: line, Text: fmt.Sprintf("aliases make more than %d values of it", maxExpanded)}
	}
	return total
}

func (e *expansion) add(total int, n ast.Node) int { return min(total+e.size(n), maxExpanded+1) }
