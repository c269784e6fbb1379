{{/* What is the same in the spec of every pod: (dict "context" $ "values" .Values.agents). */}}
{{- define "trunkload.podSpec" -}}
serviceAccountName: {{ include "trunkload.serviceAccountName" .context }}
automountServiceAccountToken: false
# Variables of Services, of which a busy namespace has hundreds, are not for these programs.
enableServiceLinks: false
{{- with .context.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .context.Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The same for every container: (dict "context" $ "image" .Values.image.agent "resources" ...). */}}
{{- define "trunkload.container" -}}
image: {{ include "trunkload.image" . | quote }}
imagePullPolicy: {{ .context.Values.image.pullPolicy }}
{{- with .context.Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "context" $ "role" "agent" "name" "tls") */}}
{{- define "trunkload.tlsVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ include "trunkload.tlsSecret" . }}
    defaultMode: 0440
{{- end -}}

{{- define "trunkload.databaseVolume" -}}
{{- with .Values.database.files -}}
- name: database
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "trunkload.databaseMount" -}}
{{- if .Values.database.files -}}
- name: database
  mountPath: /etc/trunkload/database
  readOnly: true
{{- end }}
{{- end -}}

{{- define "trunkload.databaseEnv" -}}
{{- with .Values.database.secret -}}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end -}}
