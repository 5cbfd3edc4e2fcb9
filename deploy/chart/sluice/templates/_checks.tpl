{{/* What can't work is refused before it is installed, with the cure. */}}
{{- define "sluice.checks" -}}
{{- if not (or .Values.flows .Values.archive .Values.gochive) }}
{{-   fail "give at least one entry in flows, archive or gochive" }}
{{- end }}
{{- if and .Values.flows (not (dig "search" "urls" "" .Values.config)) }}
{{-   fail "flows need config.search.urls: the addresses of Elasticsearch or OpenSearch" }}
{{- end }}
{{- if and .Values.flows (gt (int .Values.replicas) 1) }}
{{-   fail "replicas: more than one is for archive rules alone, for two pods would take the position of a flow from each other; give the archive rules a release of their own" }}
{{- end }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (add (int .Values.drainSeconds) 30) }}
{{-   fail "terminationGracePeriodSeconds must be at least 30 more than drainSeconds, or the pod is killed while it closes" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.http.tokenSecret.name) }}
{{-   fail "serviceMonitor needs http.tokenSecret: without a token /metrics answers inside of the pod only" }}
{{- end }}
{{- range .Values.gochive }}
{{-   if ne .hostAddress (first $.Values.gochive).hostAddress }}
{{-     fail (printf "gochive: the entries are of several deployments (%s, %s): give each a release of its own" (first $.Values.gochive).hostAddress .hostAddress) }}
{{-   end }}
{{- end }}
{{- range $name := list "listen" "probes" "token" }}
{{-   if hasKey ($.Values.config.http | default dict) $name }}
{{-     fail (printf "config.http.%s follows from http: set http.port, http.probePort or http.tokenSecret" $name) }}
{{-   end }}
{{- end }}
{{- include "sluice.checkNames" . }}
{{- end }}

{{/* Each ${NAME} and ${file:…} of the configuration is there. */}}
{{- define "sluice.checkNames" -}}
{{- $text := include "sluice.config" . | replace "$${" "" }}
{{- $known := list "SLUICE_HTTP_TOKEN" }}
{{- range .Values.secrets.env }}{{ $known = append $known .name }}{{ end }}
{{- range .Values.extraEnv }}{{ $known = append $known .name }}{{ end }}
{{- if not .Values.secrets.envFrom }}
{{-   range regexFindAll "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}" $text -1 }}
{{-     $name := trimSuffix "}" (trimPrefix "${" .) }}
{{-     if not (has $name $known) }}
{{-       fail (printf "the configuration refers to ${%s}: name the Secret that has it in secrets.env" $name) }}
{{-     end }}
{{-   end }}
{{- end }}
{{- range regexFindAll "/run/secrets/[a-z0-9.-]+/" $text -1 }}
{{-   $name := trimSuffix "/" (trimPrefix "/run/secrets/" .) }}
{{-   if not (has $name $.Values.secrets.files) }}
{{-     fail (printf "the configuration refers to /run/secrets/%s: name that Secret in secrets.files" $name) }}
{{-   end }}
{{- end }}
{{- end }}
