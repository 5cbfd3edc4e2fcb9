{{/* The whole sluice.yaml, as YAML. */}}
{{- define "sluice.config" -}}
{{- $c := deepCopy .Values.config }}
{{- if .Values.flows }}
{{-   $flows := list }}
{{-   range .Values.flows }}
{{-     $flow := deepCopy . }}
{{- /* YAML 1.1, which Helm reads, takes the name `on` for true. */}}
{{-     if hasKey $flow "true" }}
{{-       $flow = set (unset $flow "true") "on" (get . "true") }}
{{-     end }}
{{-     $flows = append $flows $flow }}
{{-   end }}
{{-   $_ := set $c "flows" $flows }}
{{-   $state := $c.state | default dict }}
{{-   if and (eq (include "sluice.stateStore" .) "file") (not $state.path) }}
{{-     $_ := set $c "state" (merge (dict "store" "file" "path" "/var/lib/sluice/state") $state) }}
{{-   end }}
{{-   $letters := $c.dead_letters | default dict }}
{{-   if and (eq ($letters.store | default "") "file") (not $letters.path) }}
{{-     $_ := set $c "dead_letters" (merge (dict "path" "/var/lib/sluice/state/dead-letters") $letters) }}
{{-   end }}
{{- else }}
{{- /* Positions and dead letters are of flows. */}}
{{-   $c = omit $c "search" "state" "dead_letters" }}
{{- end }}
{{- $rules := include "sluice.rules" . | fromYamlArray }}
{{- if $rules }}
{{-   $_ := set $c "archive" $rules }}
{{-   $_ := set $c "spool" (merge (dict) ($c.spool | default dict) (dict "path" "/var/lib/sluice/spool")) }}
{{- else }}
{{-   $c = omit $c "s3" "governor" "spool" }}
{{- end }}
{{- range .Values.gochive }}
{{-   $_ := set $c "mongodb" (merge (dict "uri" ($c.mongodb.uri | replace "{hostAddress}" .hostAddress)) $c.mongodb) }}
{{- end }}
{{- $http := merge (dict) ($c.http | default dict) (include "sluice.http" . | fromYaml) }}
{{- $_ := set $c "http" $http }}
{{- toYaml $c }}
{{- end }}

{{/* The rules: those of archive, and what go-chive's entries mean; sluice gochive says
the same of them. */}}
{{- define "sluice.rules" -}}
{{- $rules := .Values.archive }}
{{- range .Values.gochive }}
{{-   $name := default (printf "%s-%s" .database .collection) .name | lower }}
{{-   $rules = append $rules (dict
        "name" (regexReplaceAll "[^a-z0-9_-]+" $name "-" | trimAll "-_")
        "namespace" (printf "%s.%s" .database .collection)
        "field" .archiveField
        "older_than" .ageLimit
        "to" (printf "s3://%s" (.s3.bucket | trimPrefix "s3://" | trimAll "/"))
        "pack_wait" (printf "%ds" (int .s3.uploadInterval))
        "max_share" 1 "mixed_types" "skip" "floor" "1971-01-01"
        "schedule" (dict "every" (printf "%ds" (int .archiveCheckInterval)))
        "batch" (dict "docs" (int .queryLimit))
        "limits" (dict "docs_per_second" (divf .queryLimit .archiveCheckInterval))) }}
{{- end }}
{{- toYaml $rules }}
{{- end }}

{{/* The servers: the probes for everybody, the rest with a token or inside. */}}
{{- define "sluice.http" -}}
probes: {{ printf ":%v" .Values.http.probePort | quote }}
{{- if .Values.http.tokenSecret.name }}
listen: {{ printf ":%v" .Values.http.port | quote }}
token: ${SLUICE_HTTP_TOKEN}
{{- else }}
listen: {{ printf "127.0.0.1:%v" .Values.http.port | quote }}
{{- end }}
{{- end }}

{{- define "sluice.stateStore" -}}
{{- dig "state" "store" "file" .Values.config }}
{{- end }}

{{/* Not empty, if something needs a volume that stays. */}}
{{- define "sluice.persistent" -}}
{{- if and .Values.flows (or (eq (include "sluice.stateStore" .) "file") (eq (dig "dead_letters" "store" "" .Values.config) "file")) }}yes{{ end }}
{{- end }}

{{/* What sluice can't take over while it runs: a change of it makes new pods. */}}
{{- define "sluice.fixed" -}}
{{- $c := include "sluice.config" . | fromYaml }}
{{- if .Values.reload }}
{{-   toYaml (dict "mongodb" $c.mongodb "state" $c.state "listen" $c.http.listen "probes" $c.http.probes "monstache" $c.http.monstache "logs" $c.logs "stats" $c.stats) | sha256sum }}
{{- else }}
{{-   toYaml $c | sha256sum }}
{{- end }}
{{- end }}
