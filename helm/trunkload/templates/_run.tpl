{{/* Why a run's values can't be carried out, where they can't: (dict "context" $ "name" NAME "run" RUN). */}}
{{- define "trunkload.checkRun" -}}
{{- if and .run.plan .run.configMap -}}
{{- fail (printf "runs.%s has a plan and a configMap: give one of them" .name) -}}
{{- else if not (or .run.plan .run.configMap) -}}
{{- fail (printf "runs.%s has no plan: give plan, as with --set-file runs.%s.plan=plan.yaml, or configMap.name" .name .name) -}}
{{- else if and .run.files (not .run.plan) -}}
{{- fail (printf "runs.%s has files for a plan in a ConfigMap: put them there" .name) -}}
{{- else if not (or .run.agents (eq .context.Values.agents.kind "Deployment")) -}}
{{- fail (printf "runs.%s.agents is needed with a DaemonSet: how many agents the run begins with" .name) -}}
{{- end -}}
{{- end -}}

{{- define "trunkload.planText" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* `trunkload run` with what is in a run's values, as a list in JSON: (dict "context" $ "run" RUN). */}}
{{- define "trunkload.runArguments" -}}
{{- $context := .context -}}
{{- $agents := default $context.Values.agents.replicas .run.agents -}}
{{- $key := "plan.yaml" -}}
{{- with .run.configMap }}{{ $key = default $key .key }}{{ end -}}
{{- $arguments := list "run" (printf "/etc/trunkload/plans/%s" $key) -}}
{{- $arguments = append $arguments (printf "--controller=%s" (include "trunkload.controllerAddress" $context)) -}}
{{- $arguments = concat $arguments (list "--tls=/etc/trunkload/tls" (printf "--agents=%d" (int $agents)) (printf "--wait=%s" (default "10m" .run.wait))) -}}
{{- if and $context.Values.database.secret (not .run.keepConninfo) -}}
{{- $arguments = append $arguments "--set=target.conninfo=" -}}
{{- end -}}
{{- range .run.set }}{{ $arguments = append $arguments (printf "--set=%s" .) }}{{ end -}}
{{- toJson $arguments -}}
{{- end -}}

{{/* The metadata and spec of a pod that asks the controller as its operator:
     (dict "context" $ "name" RUN "arguments" LIST "plans" CONFIGMAP); without arguments it lists the runs. */}}
{{- define "trunkload.operatorPod" -}}
metadata:
  labels:
    {{- with .context.Values.jobs.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
    {{- include "trunkload.selectorLabels" (dict "context" .context "component" "run") | nindent 4 }}
    trunkload/run: {{ .name }}
  {{- with .context.Values.jobs.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{ include "trunkload.operatorSpec" . }}
{{- end -}}

{{- define "trunkload.operatorSpec" -}}
{{- $context := .context -}}
{{- $arguments := list "--controller" (include "trunkload.controllerAddress" $context) "--tls" "/etc/trunkload/tls" -}}
spec:
  {{- include "trunkload.podSpec" (dict "context" $context "values" $context.Values.jobs) | nindent 2 }}
  restartPolicy: Never
  # SIGTERM ends the run in order, which takes as long as its drain.
  terminationGracePeriodSeconds: 60
  initContainers:
    # At an installation this pod is there before its controller answers.
    - name: wait-for-controller
      {{- include "trunkload.container" (dict "context" $context "image" $context.Values.image.controller "resources" $context.Values.jobs.resources) | nindent 6 }}
      command: [/bin/sh, -c]
      args:
        - |
          for try in $(seq 150); do
            trunkload runs {{ $arguments | join " " }} >/dev/null 2>/tmp/why && exit
            sleep 2
          done
          cat /tmp/why >&2
          exit 1
      volumeMounts:
        - {name: tls, mountPath: /etc/trunkload/tls, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  containers:
    - name: trunkload
      {{- include "trunkload.container" (dict "context" $context "image" $context.Values.image.controller "resources" $context.Values.jobs.resources) | nindent 6 }}
      command: [/usr/bin/trunkload]
      args: {{- default (concat (list "runs") $arguments) .arguments | toYaml | nindent 8 }}
      volumeMounts:
        - {name: tls, mountPath: /etc/trunkload/tls, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if .plans }}
        - {name: plans, mountPath: /etc/trunkload/plans, readOnly: true}
        {{- end }}
  volumes:
    {{- include "trunkload.tlsVolume" (dict "context" $context "role" "operator" "name" "tls") | nindent 4 }}
    - {name: tmp, emptyDir: {}}
    {{- with .plans }}
    - {name: plans, configMap: {name: {{ . }}}}
    {{- end }}
{{- end -}}
