package server

import (
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// A variant is one of several forms of an object. One of its properties, the discriminator, has a value that no other form has.
type variant struct {
	value      string                  // of the discriminator
	name       string                  // of the schema
	properties map[string]*huma.Schema // that replace those of the object
	required   []string                // optional properties of the object that this form always has
	without    []string                // optional properties of the object that this form never has
}

// newUnion returns a schema that is one of several forms of an object, and registers the schema of each.
func newUnion(r huma.Registry, discriminator string, object *huma.Schema, variants []variant) *huma.Schema {
	union := &huma.Schema{Description: object.Description, Discriminator: &huma.Discriminator{PropertyName: discriminator, Mapping: map[string]string{}}}
	for _, v := range variants {
		one := *object
		one.Properties = maps.Clone(object.Properties)
		maps.Copy(one.Properties, v.properties)
		one.Properties[discriminator] = &huma.Schema{Type: huma.TypeString, Enum: []any{v.value}, Description: object.Properties[discriminator].Description}
		one.Required = append(slices.Clone(object.Required), v.required...)
		for _, name := range v.without {
			delete(one.Properties, name)
		}
		r.Map()[v.name] = &one
		union.OneOf = append(union.OneOf, &huma.Schema{Ref: schemasPath + v.name})
		union.Discriminator.Mapping[v.value] = schemasPath + v.name
	}
	return union
}
