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

{{/* What every pod of the product has. */}}
{{- define "gelap.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "gelap.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every container of an indexer, relayer or sequencer has: of an `image`, and a `policy` to pull it. */}}
{{- define "gelap.container" -}}
image: "{{ .image.repository }}:{{ .image.tag }}"
imagePullPolicy: {{ .policy }}
securityContext:
  {{- include "gelap.containerSecurity" . | nindent 2 }}
{{- end }}

{{/* Where a pod runs, of the values of its part. */}}
{{- define "gelap.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "gelap.scratchMounts" -}}
- {name: cache, mountPath: /var/cache/gelap}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "gelap.scratchVolumes" -}}
- {name: cache, emptyDir: {}}
- {name: tmp, emptyDir: {}}
{{- end }}

{{/* Probes of a process that serves nothing but its metrics. */}}
{{- define "gelap.metricsProbes" -}}
readinessProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{/* Environment variables of all. */}}
{{- define "gelap.commonEnv" -}}
- {name: GELAP_CACHE_DIR, value: /var/cache/gelap}
- {name: GELAP_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{- end }}

{{/* Those of gateways and workers alike. */}}
{{- define "gelap.env" -}}
{{- include "gelap.commonEnv" . }}
- name: GELAP_REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.existingSecret }}, key: redis-url}
- {name: GELAP_KEY_DIR, value: /var/lib/gelap/keys}
{{- range $name, $value := .Values.limits }}
- {name: GELAP_LIMIT_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* Those of relayers and sequencers alike: `of` the values of either, `account` that of its account. */}}
{{- define "gelap.senderEnv" -}}
- {name: GELAP_POOL, value: {{ .of.pool | quote }}}
- name: GELAP_RPC_URL
  valueFrom:
    secretKeyRef: {name: {{ .of.rpc.existingSecret }}, key: rpc-url}
- {name: GELAP_EVM_KEY_FILE, value: /run/secrets/account/{{ dig "keyFile" "key" .account }}}
{{- with dig "passphraseFile" "" .account }}
- {name: GELAP_EVM_PASSPHRASE_FILE, value: /run/secrets/account/{{ . }}}
{{- end }}
{{- end }}

{{/* Options with numbers, `--name=value` each. */}}
{{- define "gelap.options" -}}
{{- range $option, $value := . }}
- {{ printf "--%s=%s" $option (toJson $value) | quote }}
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
