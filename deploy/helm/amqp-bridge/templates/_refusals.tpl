{{/* What the schema cannot tell: values that do not go together. Each is refused by a sentence that says what to do. */}}
{{- define "amqp-bridge.refuse" -}}
{{- include "amqp-bridge.refuseDatabase" . -}}
{{- include "amqp-bridge.refuseConfig" . -}}
{{- include "amqp-bridge.refuseLimits" . -}}
{{- include "amqp-bridge.refuseScaling" . -}}
{{- include "amqp-bridge.refuseNetwork" . -}}
{{- end -}}

{{- define "amqp-bridge.refuseDatabase" -}}
{{- if eq .Values.database.type "sqlite" -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- fail "replicas: SQLite serves one pod; set database.type to postgresql, or replicas to 1" -}}
{{- end -}}
{{- if ne .Values.autoscaling.kind "none" -}}
{{- fail "autoscaling.kind: SQLite serves one pod; set database.type to postgresql, or autoscaling.kind to none" -}}
{{- end -}}
{{- else if and (not .Values.existingConfigMap) (not (include "amqp-bridge.hasVariables" .)) -}}
{{- fail "secrets: PostgreSQL's address is in no Secret; name one with the key BRIDGE_STORAGE__URL in secrets.existing or secrets.keys" -}}
{{- end -}}
{{- end -}}

{{- define "amqp-bridge.refuseConfig" -}}
{{- if eq .Values.image.tag "latest" -}}
{{- fail "image.tag: `latest` is another program tomorrow; give a version, or image.digest" -}}
{{- end -}}
{{- if and .Values.existingConfigMap (or .Values.config .Values.files) -}}
{{- fail "existingConfigMap: it stands in place of config and files; leave these empty, or existingConfigMap" -}}
{{- end -}}
{{- if hasKey .Values.files "bridge.yaml" -}}
{{- fail "files: bridge.yaml is made from `config`; write its settings there" -}}
{{- end -}}
{{- if and .Values.secrets.directory (include "amqp-bridge.mountsSecrets" .) -}}
{{- fail "secrets.directory: the bridge reads one folder of secrets; give either directory, or existing and keys" -}}
{{- end -}}
{{- $broker := .Values.config.broker | default dict -}}
{{- if not (or $broker.url .Values.existingConfigMap (include "amqp-bridge.hasVariables" .)) -}}
{{- fail "secrets: the broker's address is in no Secret; name one with the key BRIDGE_BROKER__URL in secrets.existing or secrets.keys" -}}
{{- end -}}
{{- end -}}

{{- define "amqp-bridge.refuseLimits" -}}
{{- $least := add (include "amqp-bridge.drain" .) 15 -}}
{{- if lt (int (include "amqp-bridge.grace" .)) (int $least) -}}
{{- fail (printf "terminationGracePeriodSeconds: a stop takes up to config.limits.drain and 15 s; set it to %d or more, or to 0" $least) -}}
{{- end -}}
{{- $wait := include "amqp-bridge.seconds" .Values.run.wait | int -}}
{{- if lt (int (include "amqp-bridge.startup" .)) $wait -}}
{{- fail (printf "probes.startup.failureThreshold: the pod would be killed while it waits for run.wait, %d s; raise it, or set it to 0" $wait) -}}
{{- end -}}
{{- $budget := dig "limits" "memory" "" .Values.config -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if and $budget $limit (not (contains "$" ($budget | toString))) -}}
{{- $need := addf 130000000.0 (mulf 1.5 (include "amqp-bridge.bytes" $budget | float64)) | ceil | int64 -}}
{{- if lt (include "amqp-bridge.bytes" $limit | int64) $need -}}
{{- fail (printf "resources.limits.memory: 130 MB + 1.5 x config.limits.memory are %dMi; set it to that or more, or lower config.limits.memory" (div (add $need 1048575) 1048576)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "amqp-bridge.refuseScaling" -}}
{{- $scaling := .Values.autoscaling -}}
{{- if and (ne $scaling.kind "none") (gt (int $scaling.min) (int $scaling.max)) -}}
{{- fail "autoscaling.min: it is more than autoscaling.max" -}}
{{- end -}}
{{- if and (eq $scaling.kind "hpa") (not (dig "requests" "cpu" "" .Values.resources)) -}}
{{- fail "resources.requests.cpu: an HPA compares with it; set it, or autoscaling.kind to keda or none" -}}
{{- end -}}
{{- if eq $scaling.kind "keda" -}}
{{- if not $scaling.keda.secret.name -}}
{{- fail "autoscaling.keda.secret.name: KEDA asks the broker's management API; name the Secret that has its address" -}}
{{- end -}}
{{- if ne (empty $scaling.keda.secret.usernameKey) (empty $scaling.keda.secret.passwordKey) -}}
{{- fail "autoscaling.keda.secret: give usernameKey and passwordKey both, or none of them" -}}
{{- end -}}
{{- if gt (int $scaling.keda.fallback.replicas) (int $scaling.max) -}}
{{- fail "autoscaling.keda.fallback.replicas: it is more than autoscaling.max" -}}
{{- end -}}
{{- if not (include "amqp-bridge.triggers" . | fromYamlArray) -}}
{{- fail "autoscaling.keda: there is nothing to scale by; give sources in config, laneMessages or extraTriggers" -}}
{{- end -}}
{{- end -}}
{{- range .Values.metrics.rules.disabled -}}
{{- if not (has . (include "amqp-bridge.alerts" $ | fromYamlArray)) -}}
{{- fail (printf "metrics.rules.disabled: there is no alert %s" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "amqp-bridge.refuseNetwork" -}}
{{- if eq (int .Values.http.port) (int .Values.http.adminPort) -}}
{{- fail "http.adminPort: it is the same as http.port; set another one, or 0" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not (include "amqp-bridge.ingressPaths" . | fromYamlArray)) -}}
{{- fail "ingress.enabled: there is no path to lead in; give inlets in config, or ingress.paths" -}}
{{- end -}}
{{- range concat .Values.networkPolicy.targets.cidrs (dig "http" "allow_private_targets" list .Values.config) -}}
{{- if or (hasPrefix "169.254." .) (hasPrefix "fe80:" (lower .)) (hasPrefix "fd00:ec2:" (lower .)) -}}
{{- fail (printf "%s: metadata services of clouds are there, which no target may reach; take it out of networkPolicy.targets.cidrs and config.http.allow_private_targets" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
