{{/* bridge.yaml */}}
{{- define "amqp-bridge.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $http := $config.http | default dict -}}
{{- $_ := set $http "listen" (printf ":%d" (int .Values.http.port)) -}}
{{- if .Values.http.adminPort -}}
{{- $_ := set $http "admin_listen" (printf ":%d" (int .Values.http.adminPort)) -}}
{{- end -}}
{{- if not (hasKey $http "admin_token") -}}
{{- $_ := set $http "admin_token" "${BRIDGE_HTTP__ADMIN_TOKEN}" -}}
{{- end -}}
{{- $_ := set $config "http" $http -}}
{{- $broker := $config.broker | default dict -}}
{{- if not (hasKey $broker "url") -}}
{{- $_ := set $broker "url" "${BRIDGE_BROKER__URL}" -}}
{{- end -}}
{{- $_ := set $config "broker" $broker -}}
{{- $storage := $config.storage | default dict -}}
{{- $sqlite := eq .Values.database.type "sqlite" -}}
{{- $_ := set $storage "url" ($sqlite | ternary "sqlite:////var/lib/amqp-bridge/bridge.db" "${BRIDGE_STORAGE__URL}") -}}
{{- $_ := set $config "storage" $storage -}}
{{- if not (hasKey $config "reload") -}}
{{- $_ := set $config "reload" "watch" -}}
{{- end -}}
{{- $config | toYaml -}}
{{- end -}}

{{/*
Changes with what needs a restart: all but the hooks, which the bridge reads anew by itself (reload: watch). So a changed hook
restarts nothing, and an upgrade that changes nothing restarts nothing.
*/}}
{{- define "amqp-bridge.checksum" -}}
{{- $config := include "amqp-bridge.config" . | fromYaml -}}
{{- if eq $config.reload "watch" -}}
{{- $config = omit $config "hooks" -}}
{{- end -}}
{{- list $config .Values.files | toJson | sha256sum -}}
{{- end -}}
