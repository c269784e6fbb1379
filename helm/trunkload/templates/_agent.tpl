{{/* The pod of an agent, of a Deployment and of a DaemonSet. */}}
{{- define "trunkload.agentPod" -}}
metadata:
  labels:
    {{- with .Values.agents.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
    {{- include "trunkload.selectorLabels" (dict "context" . "component" "agent") | nindent 4 }}
  {{- with .Values.agents.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "trunkload.podSpec" (dict "context" . "values" .Values.agents) | nindent 2 }}
  # SIGTERM is an announced departure: the controller knows at once, and the plan's fleet.on_agent_lost decides.
  terminationGracePeriodSeconds: {{ .Values.agents.terminationGracePeriodSeconds }}
  {{- if and (eq .Values.agents.kind "Deployment") .Values.agents.topologySpreadConstraints }}
  {{- $selector := include "trunkload.selectorLabels" (dict "context" . "component" "agent") | fromYaml }}
  {{- $constraints := list }}
  {{- range .Values.agents.topologySpreadConstraints }}
  {{- $constraints = append $constraints (merge (dict) . (dict "labelSelector" (dict "matchLabels" $selector))) }}
  {{- end }}
  topologySpreadConstraints: {{- toYaml $constraints | nindent 4 }}
  {{- end }}
  containers:
    - name: agent
      {{- include "trunkload.container" (dict "context" . "image" .Values.image.agent "resources" .Values.agents.resources) | nindent 6 }}
      command: [/usr/bin/trunkload-agent]
      args:
        - --controller={{ include "trunkload.controllerAddress" . }}
        - --tls=/etc/trunkload/tls
        - --name=$(POD_NAME)
        - --label=node=$(NODE_NAME)
        {{- range $key, $text := .Values.agents.labels }}
        - {{ printf "--label=%s=%s" $key (toString $text) | quote }}
        {{- end }}
        - --health-file=/run/trunkload/health
        {{- range .Values.agents.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        {{- with .Values.agents.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with include "trunkload.databaseEnv" . }}{{ . | nindent 6 }}{{ end }}
      # Of readiness alone: an agent that waits for its controller to come back must not be restarted for it.
      readinessProbe:
        exec:
          command: [/usr/bin/trunkload-agent, --check-health, /run/trunkload/health]
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      volumeMounts:
        - name: tls
          mountPath: /etc/trunkload/tls
          readOnly: true
        - name: run
          mountPath: /run/trunkload
        - name: tmp
          mountPath: /tmp
        {{- with include "trunkload.databaseMount" . }}{{ . | nindent 8 }}{{ end }}
        {{- with .Values.agents.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    {{- include "trunkload.tlsVolume" (dict "context" . "role" "agent" "name" "tls") | nindent 4 }}
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    - name: tmp
      emptyDir: {}
    {{- with include "trunkload.databaseVolume" . }}{{ . | nindent 4 }}{{ end }}
    {{- with .Values.agents.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end -}}
