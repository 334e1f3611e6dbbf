{{- define "gelap.name" -}}
{{ printf "%s-gelap" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "gelap.selector" -}}
app.kubernetes.io/name: gelap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gelap.labels" -}}
{{ include "gelap.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "gelap.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "gelap.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Environment variables of gateways and workers alike. */}}
{{- define "gelap.env" -}}
- name: GELAP_REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.existingSecret }}, key: redis-url}
- {name: GELAP_KEY_DIR, value: /var/lib/gelap/keys}
- {name: GELAP_CACHE_DIR, value: /var/cache/gelap}
- {name: GELAP_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{- range $name, $value := .Values.limits }}
- {name: GELAP_LIMIT_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* The proving keys, from a claim, or fetched into a folder of the pod. */}}
{{- define "gelap.keysVolume" -}}
- name: keys
{{- if .Values.keys.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .Values.keys.existingClaim }}, readOnly: true}
{{- else }}
  emptyDir: {}
{{- end }}
{{- end }}

{{- define "gelap.fetchKeys" -}}
- name: fetch-keys
  image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [keys, fetch]
  env:
    - {name: GELAP_KEYS_URL, value: {{ required "set keys.existingClaim or keys.url" .Values.keys.url | quote }}}
    - {name: GELAP_KEY_DIR, value: /var/lib/gelap/keys}
    - {name: GELAP_CACHE_DIR, value: /tmp}
  securityContext:
    {{- include "gelap.containerSecurity" . | nindent 4 }}
  resources:
    requests: {cpu: 100m, memory: 128Mi}
    limits: {memory: 512Mi}
  volumeMounts:
    - {name: keys, mountPath: /var/lib/gelap/keys}
    - {name: tmp, mountPath: /tmp}
{{- end }}
