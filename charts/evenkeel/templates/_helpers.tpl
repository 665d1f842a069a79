{{/* The names below are fixed: proxies, the control plane and RBAC know them. One control plane serves a cluster. */}}
{{- define "evenkeel.name" -}}evenkeel-control{{- end }}
{{- define "evenkeel.host" -}}{{ include "evenkeel.name" . }}.{{ .Release.Namespace }}.svc{{- end }}

{{- define "evenkeel.selector" -}}
app.kubernetes.io/name: evenkeel
app.kubernetes.io/component: control-plane
{{- end }}

{{- define "evenkeel.labels" -}}
{{ include "evenkeel.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* Takes a list: the root, and which program: control, proxy or init. A digest wins over a tag. */}}
{{- define "evenkeel.image" -}}
{{- $root := index . 0 }}{{ $program := index . 1 }}{{ $image := $root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}evenkeel-{{ $program }}
{{- with index $image.digests $program }}@{{ . }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The secret with the control plane's certificate. */}}
{{- define "evenkeel.secret" -}}
{{- if eq .Values.certificates.mode "secret" }}{{ .Values.certificates.secretName }}{{ else }}evenkeel-control-tls{{ end }}
{{- end }}

{{/* Nothing that the schema cannot see is wrong. */}}
{{- define "evenkeel.check" -}}
{{- if eq .Release.Namespace "kube-system" }}
{{- fail "evenkeel: kube-system is never injected and must not depend on a mesh: install with --namespace evenkeel-system --create-namespace" }}
{{- end }}
{{- end }}
{{/* The namespaces that are never injected, as a list in JSON. */}}
{{- define "evenkeel.excluded" -}}
{{- append .Values.injection.excludedNamespaces .Release.Namespace | uniq | sortAlpha | toJson }}
{{- end }}

{{/* The injector's settings: `evenkeel-control inject --settings FILE` takes the same text. */}}
{{- define "evenkeel.injection" -}}
{{- $injection := .Values.injection -}}
images:
  proxy: {{ include "evenkeel.image" (list . "proxy") }}
  init: {{ include "evenkeel.image" (list . "init") }}
  pullPolicy: {{ .Values.image.pullPolicy }}
  pullSecrets: {{ $injection.pullSecrets | toJson }}
controlPlane:
  address: {{ include "evenkeel.host" . }}:15012
  audience: evenkeel
  startup: {{ $injection.startup | toJson }}
nativeSidecar: {{ $injection.nativeSidecar }}
excludedNamespaces: {{ include "evenkeel.excluded" . }}
proxy: {{- toYaml $injection.proxy | nindent 2 }}
  scrapeAnnotations: {{ .Values.metrics.scrapeAnnotations }}
redirection: {{- toYaml $injection.redirection | nindent 2 }}
onDemand: {{- toYaml $injection.onDemand | nindent 2 }}
{{- $tracing := $injection.telemetry.tracing }}
{{- $metrics := $injection.telemetry.metrics }}
{{- $records := $injection.telemetry.accessLog }}
{{- if or $tracing.collector $metrics.labels $metrics.push.collector $records.collector }}
telemetry:
{{- if $tracing.collector }}
  tracing: {{- toYaml $tracing | nindent 4 }}
{{- end }}
{{- if or $metrics.labels $metrics.push.collector }}
  metrics: {{- toYaml (empty $metrics.push.collector | ternary (omit $metrics "push") $metrics) | nindent 4 }}
{{- end }}
{{- if $records.collector }}
  accessLog: {{- toYaml $records | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
