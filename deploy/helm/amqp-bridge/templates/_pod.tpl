{{/* The pod's specification, with what extraPodSpec says. */}}
{{- define "amqp-bridge.pod" -}}
{{- $pod := include "amqp-bridge.podSpec" . | fromYaml -}}
{{- if $pod.Error -}}{{- fail $pod.Error -}}{{- end -}}
{{- mergeOverwrite $pod (deepCopy .Values.extraPodSpec) | toYaml -}}
{{- end -}}

{{- define "amqp-bridge.podSpec" -}}
serviceAccountName: {{ include "amqp-bridge.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false # a Service named `bridge` would make variables BRIDGE_..., which are settings
terminationGracePeriodSeconds: {{ include "amqp-bridge.grace" . }}
securityContext:
  {{- include "amqp-bridge.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "amqp-bridge.spread" . }}
{{- with .Values.extraInitContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{- include "amqp-bridge.container" . | nindent 4 }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  {{- include "amqp-bridge.volumes" . | nindent 2 }}
{{- end -}}

{{- define "amqp-bridge.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- with get $.Values.podSecurity $name }}
{{ $name }}: {{ . | int64 }}
{{- end }}
{{- end }}
{{- if .Values.podSecurity.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end -}}

{{- define "amqp-bridge.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "amqp-bridge.spread" -}}
{{- if and (include "amqp-bridge.several" .) (or .Values.topologySpread.node .Values.topologySpread.zone) }}
topologySpreadConstraints:
  {{- range $key, $unsatisfiable := dict "kubernetes.io/hostname" .Values.topologySpread.node "topology.kubernetes.io/zone" .Values.topologySpread.zone }}
  {{- if $unsatisfiable }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $unsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "amqp-bridge.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "amqp-bridge.container" -}}
name: bridge
image: {{ include "amqp-bridge.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - run
  - --config=/etc/amqp-bridge/config/bridge.yaml
  - --wait={{ .Values.run.wait }}
  {{- with .Values.run.targets }}
  - --targets={{ join "," . }}
  {{- end }}
  {{- if .Values.run.strict }}
  - --strict
  {{- end }}
{{- $folder := include "amqp-bridge.secretsFolder" . }}
env:
  # `kubectl exec` of amqp-bridge finds the settings by this.
  - name: BRIDGE_CONFIG
    value: /etc/amqp-bridge/config/bridge.yaml
  {{- with $folder }}
  - name: BRIDGE_SECRETS_DIR
    value: {{ . | quote }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: http, containerPort: {{ .Values.http.port }}, protocol: TCP}
  {{- if .Values.http.adminPort }}
  - {name: admin, containerPort: {{ .Values.http.adminPort }}, protocol: TCP}
  {{- end }}
{{- $startup := int (include "amqp-bridge.startup" .) }}
{{- with .Values.probes }}
startupProbe:
  httpGet: {path: /health/ready, port: http}
  periodSeconds: {{ .startup.periodSeconds }}
  timeoutSeconds: {{ .startup.timeoutSeconds }}
  failureThreshold: {{ divf $startup .startup.periodSeconds | ceil }}
livenessProbe:
  httpGet: {path: /health/live, port: http}
  {{- toYaml .liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /health/ready, port: http}
  {{- toYaml .readiness | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "amqp-bridge.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/amqp-bridge/config, readOnly: true}
  {{- if include "amqp-bridge.mountsSecrets" . }}
  - {name: secrets, mountPath: {{ $folder }}, readOnly: true}
  {{- end }}
  - {name: state, mountPath: /var/lib/amqp-bridge}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "amqp-bridge.volumes" -}}
- name: config
  configMap:
    name: {{ .Values.existingConfigMap | default (include "amqp-bridge.fullname" .) }}
    defaultMode: 0555
{{- if include "amqp-bridge.mountsSecrets" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.secrets.existing }}
      - secret: {name: {{ . | quote }}}
      {{- end }}
      {{- range .Values.secrets.keys }}
      - secret:
          name: {{ .secret | quote }}
          items: [{key: {{ .key | quote }}, path: {{ .name | quote }}}]
      {{- end }}
{{- end }}
- name: state
  {{- if eq .Values.database.type "sqlite" }}
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim | default (include "amqp-bridge.fullname" .) }}
  {{- else }}
  emptyDir: {sizeLimit: 64Mi}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.tmpSize }}}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
