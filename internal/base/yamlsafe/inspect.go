package yamlsafe

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// inspector follows the parser's decisions on the tokens, without recursion. It keeps one level per open list or
// mapping. The parser nests a block list or mapping only in a larger column than the surrounding level. The exception
// is a list below a key in the same column. The parser compares no columns across an open bracket.
type inspector struct {
	limits Limits
	levels []level

	marks      int          // anchors and tags since the last other token
	mark       *token.Token // the first of these anchors and tags
	markColumn int          // column of the key or dash whose value follows the marks; 0: none
	name       bool         // the next token is the name of an anchor or alias

	last, before token.Type   // the previous two tokens, without comments and marks
	key          *token.Token // the previous token, if it may be a key
	keyColumn    int          // column of the key for the parser: that of its first mark
	keyed        bool         // the entry of the innermost braces has a key
	waits        token.Type   // a key's colon or a dash without a value so far; 0: none
	waitColumn   int          // of the key or dash

	tokens, documents int
	empty             int // values that the parser will insert
	openKeys          int // keys of open block mappings
	deepest           int // highest number of open levels
	appends, paths    int // work for keys and items
}

// level is an open list or mapping.
type level struct {
	open   token.Type // MappingStart or SequenceStart: brackets; SequenceEntry or MappingValue: block style
	column int
	keys   int // of a block mapping
	path   int // bytes of its path
}

func (l level) brackets() bool {
	return l.open == token.MappingStartType || l.open == token.SequenceStartType
}

// Error reports a refused text and its line; 0: the text as a whole.
type Error struct {
	Line int
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Text)
}

func refuse(t *token.Token, format string, args ...any) error {
	return &Error{Line: t.Position.Line, Text: fmt.Sprintf(format, args...)}
}

// take processes the next token.
func (i *inspector) take(t *token.Token) error {
	if i.tokens++; i.tokens > i.limits.Tokens {
		return refuse(t, "more than %d keys, values and brackets", i.limits.Tokens)
	}
	if t.Type == token.CommentType {
		return nil
	}
	if i.name {
		i.name = false
		return nil
	}
	if t.Type == token.AnchorType || t.Type == token.TagType {
		return i.takeMark(t)
	}
	if i.waits == token.SequenceEntryType && t.Type != i.waits && t.Position.Column == i.waitColumn && i.innermost() < 0 {
		// The parser would treat it as the item's value and nest in the same column.
		return refuse(t, "not YAML: it stands in the column of the empty list item above it; indent the list")
	}
	i.settle(t)
	if err := i.checkMarks(t); err != nil {
		return err
	}
	if err := i.turn(t); err != nil {
		return err
	}
	i.before, i.last, i.marks, i.markColumn = i.last, t.Type, 0, 0
	if i.deepest = max(i.deepest, len(i.levels)); i.deepest > maxDepth {
		return refuse(t, "nested deeper than %d levels", maxDepth)
	}
	return nil
}

// takeMark processes an anchor or a tag. The previous token stays the previous token.
func (i *inspector) takeMark(t *token.Token) error {
	if i.marks == 0 {
		i.mark, i.markColumn = t, 0
		if i.waits != 0 {
			i.markColumn = i.waitColumn
		}
	}
	i.settle(t)
	i.key, i.name = nil, t.Type == token.AnchorType
	if i.marks++; i.marks > maxMarks {
		return refuse(t, "more than %d anchors and tags before one value", maxMarks)
	}
	return nil
}

// checkMarks refuses marks without a following value. The parser would treat the next token as the value, whatever its
// column is, and nest for each mark.
func (i *inspector) checkMarks(t *token.Token) error {
	if i.marks == 0 || i.innermost() >= 0 {
		return nil
	}
	list := t.Type == token.SequenceEntryType && i.last == token.MappingValueType && t.Position.Column == i.markColumn
	if i.markColumn > 0 && t.Position.Column <= i.markColumn && !list {
		return refuse(i.mark, "an anchor or a tag without a value")
	}
	if i.markColumn == 0 && t.Position.Line != i.mark.Position.Line && len(i.levels) > 0 {
		return refuse(i.mark, "an anchor or a tag without a value")
	}
	return nil
}

// settle counts an empty value. The parser inserts such a value if the token after a colon or dash is not to its right.
func (i *inspector) settle(t *token.Token) {
	waits := i.waits
	i.waits = 0
	if waits == 0 {
		return
	}
	switch t.Type {
	case token.CollectEntryType, token.MappingEndType, token.SequenceEndType, token.DocumentHeaderType, token.DocumentEndType:
		i.empty++
	case token.SequenceEntryType:
		if t.Position.Column < i.waitColumn || t.Position.Column == i.waitColumn && waits == token.SequenceEntryType {
			i.empty++
		}
	default:
		if t.Position.Column <= i.waitColumn {
			i.empty++
		}
	}
}

func (i *inspector) turn(t *token.Token) error {
	key := i.key
	i.key = nil
	switch t.Type {
	case token.InvalidType:
		return refuse(t, "not YAML: %s", t.Error)
	case token.MappingKeyType:
		return refuse(t, "keys written with \"? \" are not supported")
	case token.DirectiveType:
		return refuse(t, "directives (%%) are not supported")
	case token.DocumentHeaderType, token.DocumentEndType:
		return i.document(t)
	case token.MappingStartType, token.SequenceStartType:
		i.push(level{open: t.Type, column: t.Position.Column, path: i.path() + indexBytes})
		i.keyed = false
	case token.MappingEndType, token.SequenceEndType:
		return i.closeBrackets(t)
	case token.CollectEntryType:
		i.entryEnds()
	case token.SequenceEntryType:
		return i.item(t)
	case token.MappingValueType:
		return i.value(t, key)
	default:
		i.name = t.Type == token.AliasType
		i.key, i.keyColumn = t, t.Position.Column
		if i.marks > 0 && i.mark.Position.Line == t.Position.Line {
			i.keyColumn = i.mark.Position.Column
		}
		if i.last == token.LiteralType || i.last == token.FoldedType {
			i.key = nil // the text of a block scalar
		}
	}
	return nil
}

func (i *inspector) document(t *token.Token) error {
	if i.documents++; i.documents > 2*i.limits.Documents+1 {
		return refuse(t, "more than %d documents", i.limits.Documents)
	}
	if len(i.levels) > 0 && i.innermost() >= 0 {
		return refuse(t, "a document ends within brackets")
	}
	i.popTo(0)
	return nil
}

// innermost returns the level of the innermost open brackets, -1 if there are none.
func (i *inspector) innermost() int {
	for n := len(i.levels) - 1; n >= 0; n-- {
		if i.levels[n].brackets() {
			return n
		}
	}
	return -1
}

func (i *inspector) closeBrackets(t *token.Token) error {
	open, n := token.MappingStartType, i.innermost()
	if t.Type == token.SequenceEndType {
		open = token.SequenceStartType
	}
	// The parser accepts some brackets without a match. Every level that is open for the parser must be open here.
	if n < 0 || i.levels[n].open != open {
		return refuse(t, "not YAML: %s without the bracket that it closes", t.Value)
	}
	i.entryEnds()
	i.popTo(n)
	i.keyed = true // inside braces, these brackets were the value of a key
	return nil
}

// entryEnds ends an entry within brackets. It counts the empty values of {a, b}.
func (i *inspector) entryEnds() {
	n := i.innermost()
	if n < 0 {
		return
	}
	if i.levels[n].open == token.MappingStartType && !i.keyed {
		i.empty++
	}
	i.keyed = false
	i.popTo(n + 1)
}

// item opens a block list, or continues one.
func (i *inspector) item(t *token.Token) error {
	if i.innermost() >= 0 {
		return refuse(t, "not YAML: a block list within brackets")
	}
	i.waits, i.waitColumn = t.Type, t.Position.Column
	i.leave(0, t.Position.Column)
	if n := i.same(0, token.SequenceEntryType, t.Position.Column); n >= 0 {
		i.popTo(n + 1)
	} else {
		i.push(level{open: t.Type, column: t.Position.Column, path: i.path() + indexBytes})
	}
	return i.spend(t, 0, i.path())
}

// value opens a block mapping at the key before the colon, or continues one. In braces a key opens nothing.
func (i *inspector) value(t, key *token.Token) error {
	if key == nil {
		return refuse(t, "not YAML: a colon without a key")
	}
	if len(key.Value) > maxKeyBytes {
		return refuse(key, "a key is longer than %d bytes", maxKeyBytes)
	}
	i.waits, i.waitColumn = t.Type, i.keyColumn
	n := i.innermost()
	if n >= 0 && i.before == token.MappingValueType {
		return refuse(key, "not YAML: a key within the value of another key; put braces around it")
	}
	if n >= 0 && i.levels[n].open == token.MappingStartType {
		i.keyed = true
		return i.spend(key, 0, i.levels[n].path+len(key.Value))
	}
	return i.blockKey(n+1, i.keyColumn, key)
}

func (i *inspector) blockKey(from, column int, key *token.Token) error {
	i.leave(from, column)
	n := i.same(from, token.MappingValueType, column)
	if n >= 0 {
		i.popTo(n + 1)
	} else {
		n = len(i.levels)
		i.push(level{open: token.MappingValueType, column: column})
	}
	l := &i.levels[n]
	l.path = len(key.Value)
	if n > 0 {
		l.path += i.levels[n-1].path
	}
	l.keys++
	i.openKeys++
	if l.keys > maxKeys || i.openKeys > maxOpenKeys {
		return refuse(key, "more than %d keys in one mapping", maxKeys)
	}
	return i.spend(key, l.keys, l.path)
}

// leave closes the block levels that end at a token in the given column.
func (i *inspector) leave(from, column int) {
	n := len(i.levels)
	for n > from && i.levels[n-1].column > column {
		n--
	}
	i.popTo(n)
}

// same returns the open block level of a kind in a column; -1: none.
func (i *inspector) same(from int, open token.Type, column int) int {
	for n := len(i.levels) - 1; n >= from && i.levels[n].column == column; n-- {
		if i.levels[n].open == open {
			return n
		}
	}
	return -1
}

func (i *inspector) push(l level) { i.levels = append(i.levels, l) }

func (i *inspector) popTo(n int) {
	for _, l := range i.levels[n:] {
		i.openKeys -= l.keys
	}
	i.levels = i.levels[:n]
}

func (i *inspector) path() int {
	if len(i.levels) == 0 {
		return 0
	}
	return i.levels[len(i.levels)-1].path
}

// spend counts the work of a key or an item.
func (i *inspector) spend(t *token.Token, appends, path int) error {
	i.appends += appends
	i.paths += path
	if i.appends > maxAppends || i.paths > maxPaths {
		return refuse(t, "too many keys at too deep places")
	}
	return nil
}

// end checks the text as a whole.
func (i *inspector) end() error {
	if i.waits != 0 {
		i.empty++
	}
	if i.empty > 0 && i.tokens > maxCopies/i.empty {
		return &Error{Text: fmt.Sprintf("%d empty values among %d keys, values and brackets are too many", i.empty, i.tokens)}
	}
	return nil
}
