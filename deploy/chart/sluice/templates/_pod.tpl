{{/* The pod. Nothing of the lists is in it, so that a new entry makes no new pod. */}}
{{- define "sluice.pod" -}}
serviceAccountName: {{ include "sluice.serviceAccount" . }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
containers:
  - name: sluice
    image: {{ include "sluice.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: {{- include "sluice.args" . | nindent 6 }}
    {{- with include "sluice.env" . }}
    env: {{- . | nindent 6 }}
    {{- end }}
    {{- with .Values.secrets.envFrom }}
    envFrom:
      {{- range . }}
      - secretRef: {name: {{ . }}}
      {{- end }}
    {{- end }}
    ports:
      - {name: probes, containerPort: {{ .Values.http.probePort }}}
      {{- if .Values.http.tokenSecret.name }}
      - {name: http, containerPort: {{ .Values.http.port }}}
      {{- end }}
    livenessProbe:
      httpGet: {path: /healthz, port: probes}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    # Waiting for a lease or a window is ready, and so is copying; a server that
    # doesn't answer is not.
    readinessProbe:
      httpGet: {path: /readyz, port: probes}
      periodSeconds: 10
      timeoutSeconds: 10
      failureThreshold: 3
    securityContext: {{- toYaml .Values.securityContext | nindent 6 }}
    resources: {{- toYaml .Values.resources | nindent 6 }}
    volumeMounts:
      # A directory: a file of its own would not follow the ConfigMap.
      - {name: config, mountPath: /etc/sluice, readOnly: true}
      - {name: spool, mountPath: /var/lib/sluice/spool}
      {{- if include "sluice.persistent" . }}
      - {name: state, mountPath: /var/lib/sluice/state}
      {{- end }}
      {{- range $i, $name := .Values.secrets.files }}
      - {name: secret-{{ $i }}, mountPath: /run/secrets/{{ $name }}, readOnly: true}
      {{- end }}
      {{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 6 }}{{ end }}
volumes:
  - name: config
    configMap: {name: {{ include "sluice.fullname" . }}}
  - name: spool
    emptyDir: {sizeLimit: {{ .Values.spool.sizeLimit }}}
  {{- range $i, $name := .Values.secrets.files }}
  - name: secret-{{ $i }}
    secret: {secretName: {{ $name }}, defaultMode: 0440}
  {{- end }}
  {{- with .Values.extraVolumes }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sluice.args" -}}
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
- run
- --config=/etc/sluice/sluice.yaml
- --drain-limit={{ .Values.drainSeconds }}s
{{- if not .Values.reload }}
- --no-watch
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice.env" -}}
{{- with .Values.http.tokenSecret }}
{{- if .name }}
- name: SLUICE_HTTP_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- range .Values.secrets.env }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
