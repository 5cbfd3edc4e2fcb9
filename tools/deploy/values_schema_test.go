package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write values.schema.json anew")

// TestValuesSchema: the schema of the values is made of the one of sluice.yaml, so
// that a wrong name in a flow is told before anything is installed.
func TestValuesSchema(t *testing.T) {
	var config object
	if err := json.Unmarshal([]byte(read(t, root+"/docs/sluice.schema.json")), &config); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(valuesSchema(config), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	path := chartDir + "/values.schema.json"
	if *update {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(text, []byte(read(t, path))) {
		t.Errorf("%s is stale: go test . -run TestValuesSchema -update", path)
	}
}

// gochiveEntry is the schema of an entry of go-chive's values.
func gochiveEntry() object {
	text, count := object{"type": "string", "minLength": 1}, object{"type": "integer", "minimum": 1}
	s3 := closed(object{"bucket": text, "uploadInterval": count})
	s3["required"] = []any{"bucket", "uploadInterval"}
	e := closed(object{
		"name": text, "hostAddress": text, "ageLimit": object{"type": "string", "pattern": "^[0-9]*[1-9][0-9]*d$"},
		"queryLimit": object{"type": "integer", "minimum": 1, "maximum": 100_000}, "archiveCheckInterval": count,
		"collection": text, "database": text, "archiveField": text, "s3": s3,
	})
	e["required"] = []any{"hostAddress", "ageLimit", "queryLimit", "archiveCheckInterval", "collection", "database", "archiveField", "s3"}
	return e
}

// valuesSchema is the schema of the values, given that of sluice.yaml.
func valuesSchema(config object) object {
	parts := maps.Clone(config["properties"].(object))
	flows, archive := parts["flows"].(object), parts["archive"].(object)
	delete(parts, "flows")
	delete(parts, "archive")
	// Each part may have defaults of the chart, and be whole only then.
	for name, part := range parts {
		p := maps.Clone(part.(object))
		delete(p, "required")
		parts[name] = p
	}
	// YAML 1.1 takes the name `on` for true; the chart takes it back.
	flow := flows["items"].(object)
	flow["properties"].(object)["true"] = flow["properties"].(object)["on"]

	text, flag := object{"type": "string"}, object{"type": "boolean"}
	names := object{"type": "object", "additionalProperties": text}
	list := func(item object) object { return object{"type": "array", "items": item} }
	port := object{"type": "integer", "minimum": 1, "maximum": 65535}
	seconds := object{"type": "integer", "minimum": 1}
	share := object{"type": []any{"integer", "string"}}
	free, frees := object{"type": "object"}, list(object{"type": "object"})
	env := closed(object{"name": object{"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, "secret": text, "key": text})
	env["required"] = []any{"name", "secret", "key"}
	for _, l := range []object{flows, archive} {
		l["type"], l["minItems"] = "array", 0
	}
	s := closed(object{
		"global": free,
		"flows":  flows, "archive": archive, "gochive": list(gochiveEntry()), "config": closed(parts),
		"secrets":  closed(object{"env": list(env), "envFrom": list(text), "files": list(text)}),
		"reload":   flag,
		"http":     closed(object{"tokenSecret": closed(object{"name": text, "key": text}), "port": port, "probePort": port}),
		"replicas": object{"type": "integer", "minimum": 0},
		"image": closed(object{
			"repository": text, "tag": text, "digest": object{"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
			"pullPolicy": object{"enum": []any{"Always", "IfNotPresent", "Never"}},
		}),
		"imagePullSecrets": frees,
		"log":              closed(object{"level": object{"enum": []any{"debug", "info", "warn", "error"}}, "format": object{"enum": []any{"auto", "text", "json"}}}),
		"drainSeconds":     seconds, "terminationGracePeriodSeconds": seconds,
		"resources":           free,
		"persistence":         closed(object{"size": text, "storageClass": text, "accessModes": list(text)}),
		"spool":               closed(object{"sizeLimit": text}),
		"serviceAccount":      closed(object{"create": flag, "name": text, "annotations": names, "automountToken": flag}),
		"podDisruptionBudget": closed(object{"enabled": flag, "maxUnavailable": share}),
		"serviceMonitor":      closed(object{"enabled": flag, "interval": text, "labels": names}),
		"networkPolicy":       closed(object{"enabled": flag, "ingressFrom": frees, "egress": frees}),
		"podSecurityContext":  free, "securityContext": free,
		"labels": names, "podLabels": names, "podAnnotations": names,
		"extraArgs": list(text), "extraEnv": frees, "extraVolumes": frees, "extraVolumeMounts": frees,
		"nodeSelector": names, "tolerations": frees, "affinity": free, "topologySpreadConstraints": frees,
		"priorityClassName": text, "nameOverride": text, "fullnameOverride": text,
	})
	s["$schema"], s["title"] = config["$schema"], "The values of the chart sluice"
	return s
}

// closed is an object with these fields and no others.
func closed(fields object) object {
	return object{"type": "object", "properties": fields, "additionalProperties": false}
}
