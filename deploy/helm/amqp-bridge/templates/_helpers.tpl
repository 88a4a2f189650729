{{- define "amqp-bridge.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "amqp-bridge.fullname" -}}
{{- $name := include "amqp-bridge.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What pods, and nobody else's, are selected by. It never changes: a Deployment's selector cannot. */}}
{{- define "amqp-bridge.selector" -}}
app.kubernetes.io/name: {{ include "amqp-bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: bridge
{{- end -}}

{{- define "amqp-bridge.labels" -}}
{{- $own := include "amqp-bridge.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | toString) -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_")) -}}
{{- merge $own .Values.labels | toYaml -}}
{{- end -}}

{{/* metadata of an object: (list . name [annotations]) */}}
{{- define "amqp-bridge.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "amqp-bridge.labels" $root | nindent 2 }}
{{- if gt (len .) 2 }}
{{- with index . 2 }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "amqp-bridge.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion | toString -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{- define "amqp-bridge.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "amqp-bridge.fullname" .) "default") -}}
{{- end -}}

{{/* Whole seconds, rounded up, of a duration as bridge.yaml has it: 25, 25s, 500ms, 1m30s, 2h. */}}
{{- define "amqp-bridge.seconds" -}}
{{- $text := . | toString -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- $text | float64 | ceil | int64 -}}
{{- else -}}
{{- $factors := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+\\s*(ms|s|m|h|d)" $text -1 -}}
{{- $number := regexFind "[0-9.]+" . | float64 -}}
{{- $sum = addf $sum (mulf $number (get $factors (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $sum | ceil | int64 -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a size, as bridge.yaml (256MiB, 64kB) and Kubernetes (512Mi, 1G) have it. */}}
{{- define "amqp-bridge.bytes" -}}
{{- $text := . | toString -}}
{{- $number := regexFind "^[0-9.]+(e[+]?[0-9]+)?" $text | float64 -}}
{{- $unit := trimPrefix (regexFind "^[0-9.]+(e[+]?[0-9]+)?" $text) $text | trim | trimSuffix "B" -}}
{{- $factors := dict "" 1.0 "k" 1000.0 "M" 1000000.0 "G" 1000000000.0 "T" 1000000000000.0 -}}
{{- $_ := merge $factors (dict "Ki" 1024.0 "KiB" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0) -}}
{{- mulf $number (get $factors $unit) | ceil | int64 -}}
{{- end -}}

{{- define "amqp-bridge.drain" -}}
{{- $limits := .Values.config.limits | default dict -}}
{{- include "amqp-bridge.seconds" (hasKey $limits "drain" | ternary $limits.drain "25s") -}}
{{- end -}}

{{- define "amqp-bridge.grace" -}}
{{- .Values.terminationGracePeriodSeconds | default (add (include "amqp-bridge.drain" .) 20) | int64 -}}
{{- end -}}

{{/* Seconds that a start may take. */}}
{{- define "amqp-bridge.startup" -}}
{{- $own := mul .Values.probes.startup.failureThreshold .Values.probes.startup.periodSeconds | int64 -}}
{{- $own | default (add (include "amqp-bridge.seconds" .Values.run.wait) 120) -}}
{{- end -}}

{{/* "true" where there may be more than one pod. */}}
{{- define "amqp-bridge.several" -}}
{{- if gt (int (eq .Values.autoscaling.kind "none" | ternary .Values.replicas .Values.autoscaling.max)) 1 -}}true{{- end -}}
{{- end -}}

{{/* Whether files with secrets are mounted, and whether variables may come from elsewhere. */}}
{{- define "amqp-bridge.mountsSecrets" -}}
{{- if or .Values.secrets.existing .Values.secrets.keys -}}true{{- end -}}
{{- end -}}

{{- define "amqp-bridge.secretsFolder" -}}
{{- if .Values.secrets.directory -}}
{{- .Values.secrets.directory -}}
{{- else if include "amqp-bridge.mountsSecrets" . -}}
/etc/amqp-bridge/secrets
{{- end -}}
{{- end -}}

{{- define "amqp-bridge.hasVariables" -}}
{{- if or (include "amqp-bridge.secretsFolder" .) .Values.extraEnv .Values.extraEnvFrom -}}true{{- end -}}
{{- end -}}
