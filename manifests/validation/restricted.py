"""Pod Security Standard "restricted" (Kubernetes 1.34) for a pod template, one line a violation.

A part of a pod (a ServingRuntime, a TrainJob's patch) is judged by what it says: another resource says the rest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from manifests.validation.pods import Pods, containers_of

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = ("RuntimeDefault", "Localhost")

Spec = Mapping[str, Any]


def restricted(pods: Pods) -> Iterator[str]:
    """What the standard forbids, each as `field: what and what instead`."""
    spec = pods.spec
    context = spec.get("securityContext") or {}
    yield from (f"{pods.where}.{line}" for line in _pod(spec, context))
    for field, container, _ in containers_of(spec):
        own = container.get("securityContext") or {}
        lines = [*_forbidden(container, own), *_demanded(own, context, pods.is_whole)]
        yield from (f"{pods.where}.{field}.{line}" for line in lines)
    if spec.get("ephemeralContainers"):
        yield f"{pods.where}.ephemeralContainers: are for debugging by hand"


def _pod(spec: Spec, context: Spec) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field}: may not be true"
    for index, volume in enumerate(spec.get("volumes") or ()):
        for kind in sorted(set(volume) - {"name"} - VOLUMES):
            yield f"volumes[{index}].{kind}: volumes of this kind are not allowed"
    for sysctl in context.get("sysctls") or ():
        if sysctl.get("name") not in SYSCTLS:
            yield f"securityContext.sysctls: {sysctl.get('name')} is not allowed"
    yield from (f"securityContext.{line}" for line in _common(context))


def _common(context: Spec) -> Iterator[str]:
    """What a pod's and a container's security context may not say."""
    if context.get("runAsUser") == 0:
        yield "runAsUser: may not be 0"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot: may not be false"
    profile = (context.get("seccompProfile") or {}).get("type")
    if profile is not None and profile not in PROFILES:
        yield f"seccompProfile.type: {profile} is not one of {', '.join(PROFILES)}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions: may not set user, role or this type"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
        yield "appArmorProfile.type: may not be Unconfined"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions.hostProcess: may not be true"


def _forbidden(container: Spec, own: Spec) -> Iterator[str]:
    yield from (f"securityContext.{line}" for line in _common(own))
    if own.get("privileged"):
        yield "securityContext.privileged: may not be true"
    if own.get("procMount", "Default") != "Default":
        yield "securityContext.procMount: may only be Default"
    if added := set((own.get("capabilities") or {}).get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield f"securityContext.capabilities.add: {', '.join(sorted(added))} may not be added"
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort"):
            yield f"ports[{index}].hostPort: may not be set"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for how in ("httpGet", "tcpSocket"):
            if ((container.get(probe) or {}).get(how) or {}).get("host"):
                yield f"{probe}.{how}.host: may not be set"


def _demanded(own: Spec, pod: Spec, is_whole: bool) -> Iterator[str]:
    """What a container, or for some its pod, has to say."""
    if not own and not is_whole:
        return
    if own.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation: has to be false"
    if "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()):
        yield "securityContext.capabilities.drop: has to hold ALL"
    if not is_whole:
        return
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "securityContext.runAsNonRoot: has to be true, here or for the pod"
    if "type" not in (own.get("seccompProfile") or pod.get("seccompProfile") or {}):
        yield "securityContext.seccompProfile.type: has to be RuntimeDefault, here or for the pod"
