{{/* How names of objects begin. At most 31 characters, so that those of pods stay within 63; a longer one keeps a hash. */}}
{{- define "trunkload.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride -}}
{{- if gt (len $full) 31 -}}
{{- printf "%s-%s" ($full | trunc 24 | trimSuffix "-") ($full | sha256sum | trunc 6) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}

{{/* Call with (dict "context" $ "component" "agent"). */}}
{{- define "trunkload.selectorLabels" -}}
app.kubernetes.io/name: {{ default .context.Chart.Name .context.Values.nameOverride }}
app.kubernetes.io/instance: {{ .context.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "trunkload.labels" -}}
{{ include "trunkload.selectorLabels" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "trunkload.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "trunkload.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Call with (dict "context" $ "image" .Values.image.agent). */}}
{{- define "trunkload.image" -}}
{{- $repository := .image.repository -}}
{{- with .context.Values.image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .context.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the certificate of a role: (dict "context" $ "role" "agent"). */}}
{{- define "trunkload.tlsSecret" -}}
{{- if eq .context.Values.tls.mode "secrets" -}}
{{- index .context.Values.tls.secrets .role -}}
{{- else -}}
{{- printf "%s-%s-tls" (include "trunkload.fullname" .context) .role -}}
{{- end -}}
{{- end -}}

{{- define "trunkload.httpTokenSecret" -}}
{{- default (printf "%s-http" (include "trunkload.fullname" .)) .Values.http.tokenSecret -}}
{{- end -}}

{{- define "trunkload.controllerAddress" -}}
{{- include "trunkload.fullname" . }}-controller:7400
{{- end -}}

{{- define "trunkload.controllerNames" -}}
{{- $name := printf "%s-controller" (include "trunkload.fullname" .) -}}
{{- $namespace := .Release.Namespace -}}
{{- list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.cluster.local" $name $namespace) "localhost" | toJson -}}
{{- end -}}
