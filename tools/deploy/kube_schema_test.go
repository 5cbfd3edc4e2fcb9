package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// kinds are the files of the schemas that kubeconform asks for, and the types of
// Kubernetes that they are made of.
var kinds = map[string]any{
	"configmap-v1":                  corev1.ConfigMap{},
	"service-v1":                    corev1.Service{},
	"serviceaccount-v1":             corev1.ServiceAccount{},
	"deployment-apps-v1":            appsv1.Deployment{},
	"statefulset-apps-v1":           appsv1.StatefulSet{},
	"poddisruptionbudget-policy-v1": policyv1.PodDisruptionBudget{},
	"networkpolicy-networking-v1":   networkingv1.NetworkPolicy{},
}

// schemaDir writes a schema for each kind, and returns their directory. They must be
// local files, and the project of Kubernetes has them in no module; so they are made
// of its types: names, types, what is required; nothing else is allowed.
func schemaDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/schemas")); err != nil {
		t.Fatal(err)
	}
	for name, kind := range kinds {
		defs := object{}
		s := typeSchema(reflect.TypeOf(kind), defs)
		s["definitions"] = defs
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// typeSchema is the schema of a type; those of structs go into defs.
func typeSchema(typ reflect.Type, defs object) object {
	switch typ {
	case reflect.TypeFor[intstr.IntOrString]():
		return object{"type": []any{"integer", "string"}}
	case reflect.TypeFor[resource.Quantity]():
		return object{"type": []any{"number", "string"}, "pattern": "^[0-9.]+([KMGTPE]i?|k|m)?$"}
	case reflect.TypeFor[metav1.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[metav1.FieldsV1]():
		return object{"type": "object"}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return typeSchema(typ.Elem(), defs)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string"}
		}
		return object{"type": "array", "items": typeSchema(typ.Elem(), defs)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": typeSchema(typ.Elem(), defs)}
	case reflect.Struct:
		name := strings.NewReplacer("/", ".", "~", "-").Replace(typ.PkgPath() + "." + typ.Name())
		if defs[name] == nil {
			defs[name] = object{} // a type may be in itself
			defs[name] = structSchema(typ, defs)
		}
		return object{"$ref": "#/definitions/" + name}
	}
	panic("no schema for " + typ.String())
}

// structSchema has a property for each field. Required is what is always written,
// but what the server fills in.
func structSchema(typ reflect.Type, defs object) object {
	fields, required := object{}, []any{}
	var add func(typ reflect.Type)
	add = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch name {
			case "-", "status":
			case "":
				add(f.Type)
			default:
				fields[name] = typeSchema(f.Type, defs)
				if !strings.Contains(options, "omit") && f.Type.Kind() != reflect.Pointer {
					required = append(required, name)
				}
			}
		}
	}
	add(typ)
	s := object{"type": "object", "properties": fields, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}
