package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// Join says which documents are parents of others in a join field.
type Join struct {
	// Field is the name of the join field, at the top of the documents.
	Field string
	// Parents are the relations of the collections whose documents have children.
	Parents  map[flow.Namespace]string
	Children map[flow.Namespace]Child
}

// Child is what the documents of a collection are to those of another.
type Child struct {
	// Relation is theirs, Of the collection of their parents, one of Join.Parents.
	Relation string
	Of       flow.Namespace
	// Parent is the dotted path that holds the _id of the parent.
	Parent string
}

// Mapping is that of the join field, as JSON.
func (j *Join) Mapping() json.RawMessage {
	relations := map[string][]string{}
	for _, c := range j.Children {
		of := j.Parents[c.Of]
		relations[of] = addSorted(relations[of], c.Relation)
	}
	raw, _ := json.Marshal(map[string]any{"type": "join", "relations": relations})
	return raw
}

// addSorted adds text to a sorted list that has it once.
func addSorted(list []string, text string) []string {
	i := 0
	for i < len(list) && list[i] < text {
		i++
	}
	if i < len(list) && list[i] == text {
		return list
	}
	return append(list[:i], append([]string{text}, list[i:]...)...)
}

// checkJoin wants an id that tells collections apart, and that can be made of a
// parent's key alone.
func (p *Places) checkJoin() error {
	if !both(p.id) {
		return errors.New("id: {db} and {collection} have to stand in it: parents and children share one index")
	}
	for _, one := range p.id {
		if one.kind == partField {
			return fmt.Errorf("id: {%s} can't stand in it: a child knows no more of its parent than the _id", one.text)
		}
	}
	if p.routing != nil {
		return errors.New("routing: the join sets it: children lie where their parents do")
	}
	if p.indexByContent {
		return errors.New("index: parents and children have to lie in one index, so it takes no field")
	}
	return nil
}

// relate sets the routing of a document, and the join field that it gets.
func (p *Places) relate(at *Place, ns flow.Namespace, doc bson.Raw) error {
	j := p.of.Join
	child, is := j.Children[ns]
	if !is {
		name, is := j.Parents[ns]
		if !is {
			return fmt.Errorf("join: %s is neither parent nor child", ns)
		}
		at.Field = string(transcode.AppendString(nil, name))
		return nil
	}
	v, err := doc.LookupErr(strings.Split(child.Parent, ".")...)
	switch {
	case err != nil:
		return fmt.Errorf("join: the field %s is missing, which holds the parent", child.Parent)
	case v.Type == bson.TypeNull, v.Type == bson.TypeUndefined, v.Type == bson.TypeArray:
		return fmt.Errorf("join: the field %s holds no parent: it is %s", child.Parent, v.Type)
	}
	if at.Routing, err = p.idOf(nil, child.Of, v, nil); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	b := transcode.AppendString([]byte(`{"name":`), child.Relation)
	b = transcode.AppendString(append(b, `,"parent":`...), at.Routing)
	at.Field = string(append(b, '}'))
	return nil
}

// text is equal for equal joins.
func (j *Join) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%q", j.Field)
	all := []string{}
	for ns, name := range j.Parents {
		all = addSorted(all, fmt.Sprintf(" %q %q", ns, name))
	}
	for ns, c := range j.Children {
		all = addSorted(all, fmt.Sprintf(" %q %q %q %q", ns, c.Relation, c.Of, c.Parent))
	}
	for _, one := range all {
		b.WriteString(one)
	}
	return b.String()
}
