{{/* Labels of an object. The argument is a list: the root, and the component. */}}
{{- define "smartlb.labels" -}}
{{ include "smartlb.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "smartlb.selector" -}}
app.kubernetes.io/name: smartlb
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* The configuration file. */}}
{{- define "smartlb.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "kafka" (merge (dict "brokers" .Values.brokers) ($config.kafka | default dict)) -}}
{{- toYaml $config -}}
{{- end }}

{{/* A pod. The argument is a dict: root, component, values, roles, and more arguments of smartlb run. */}}
{{- define "smartlb.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "smartlb.labels" (list $root .component) | nindent 4 }}
  annotations:
    # Changed settings of the node need a restart; listeners, routes and services do not.
    checksum/node: {{ omit (include "smartlb.config" $root | fromYaml) "listeners" "routes" "services" | toYaml | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "8081"
spec:
  serviceAccountName: {{ $root.Release.Name }}-{{ .component }}
  # Only the proxy asks the API server.
  automountServiceAccountToken: {{ eq .component "proxy" }}
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  {{- if eq .component "proxy" }}
  terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "smartlb.selector" (list $root .component) | nindent 10 }}
  containers:
    - name: smartlb
      image: {{ printf "%s:%s" $root.Values.image.repository ($root.Values.image.tag | default $root.Chart.AppVersion) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - run
        - --roles={{ .roles }}
        - --config=/etc/smartlb/smartlb.yaml
        - --config-source=file
        - --watch
        - --data=/data
        - --admin=:8081
        - --log-format=json
        {{- range .args }}
        - {{ . }}
        {{- end }}
      env:
        - name: SMARTLB_NODE_ID
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        # Of the admin API, and of commands that kubectl exec runs.
        - name: SMARTLB_ADMIN_TOKEN
          value: ${file:/run/smartlb/credentials/admin-token}
        # Clusters from version 1.35 on copy the labels from the machine to its pods. Elsewhere zone and region are unknown.
        - name: SMARTLB_NODE_ZONE
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}
        - name: SMARTLB_NODE_REGION
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/region']"}}
      ports:
        - {name: admin, containerPort: 8081}
        {{- range .ports }}
        - {name: {{ .name }}, containerPort: {{ .targetPort }}}
        {{- end }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /healthz, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      resources: {{ toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/smartlb, readOnly: true}
        - {name: credentials, mountPath: /run/smartlb/credentials, readOnly: true}
        - {name: data, mountPath: /data}
  volumes:
    - name: config
      configMap: {name: {{ $root.Release.Name }}}
    - name: credentials
      secret: {secretName: {{ $root.Values.credentials | quote }}, defaultMode: 0440}
    # Survives restarts of the container: last good configuration, last known instances, audit records that are not sent yet.
    - name: data
      emptyDir: {sizeLimit: 1Gi}
  {{- with .values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
