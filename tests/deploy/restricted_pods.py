"""The restricted Pod Security Standard, as far as it can be seen in the spec of a pod for Linux."""

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range", "net.ipv4.tcp_syncookies",
}
SECCOMP = {"RuntimeDefault", "Localhost"}


def _of_container(container, pod):
    own = container.get("securityContext") or {}
    dropped = (own.get("capabilities") or {}).get("drop") or []
    added = (own.get("capabilities") or {}).get("add") or []
    seccomp = (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type")
    non_root = own["runAsNonRoot"] if "runAsNonRoot" in own else pod.get("runAsNonRoot")
    if own.get("privileged"):
        yield "is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may escalate its privileges"
    if "ALL" not in dropped:
        yield "keeps capabilities"
    if set(added) - {"NET_BIND_SERVICE"}:
        yield f"adds capabilities {added}"
    if seccomp not in SECCOMP:
        yield f"has the seccomp profile {seccomp}"
    if non_root is not True:
        yield "may be root"
    if own.get("runAsUser") == 0 or pod.get("runAsUser") == 0:
        yield "is root"
    if own.get("procMount", "Default") != "Default":
        yield "has another /proc"
    if any("hostPort" in port for port in container.get("ports") or []):
        yield "has a port of the host"


def violations(spec):
    """Sentences about a pod's spec; none where it passes."""
    pod = spec.get("securityContext") or {}
    found = [f"the pod has {name}" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if kinds - VOLUMES:
            found.append(f"volume {volume['name']} is of kind {kinds}")
    for sysctl in pod.get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            found.append(f"the pod sets {sysctl['name']}")
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        found += [f"container {container['name']} {what}" for what in _of_container(container, pod)]
    return found
