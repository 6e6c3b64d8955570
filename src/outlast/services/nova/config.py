"""Sections of nova.conf that controllers and computes share."""

from __future__ import annotations

from outlast.plan.plan import Plan
from outlast.services import caches, oslo
from outlast.spec.secret import SecretRef


def shared(plan: Plan, node: str) -> dict[str, oslo.Section]:
    """Everything that does not depend on which of Nova's programs reads it."""
    messages = oslo.messaging(plan)
    interval = int(plan.option("nova", "report_interval") or 0)
    default: oslo.Section = {
        "my_ip": plan.address(node),
        "host": node,
        "state_path": "/var/lib/nova",
        "concurrency_backend": "threading",
        "report_interval": interval,
        # Five reports may be missed: one of them may well fall into a database failover.
        "service_down_time": 5 * interval,
        "vif_plugging_timeout": 60,
    }
    glance: oslo.Section = {"endpoint_override": plan.url("glance"), "num_retries": 3}
    metadata: oslo.Section = {
        "service_metadata_proxy": True,
        "metadata_proxy_shared_secret": str(SecretRef("nova/metadata")),
    }
    # Long work outlives the user's token: Nova's own vouches for it.
    service_user: oslo.Section = {"send_service_user_token": True}
    return {
        "DEFAULT": oslo.defaults() | messages["DEFAULT"] | default,
        "glance": glance | oslo.session() | oslo.adapter(plan),
        "placement": oslo.auth(plan, "placement") | oslo.adapter(plan),
        "neutron": oslo.auth(plan, "neutron") | oslo.adapter(plan) | metadata,
        "service_user": service_user | oslo.auth(plan, "nova"),
        "keystone": oslo.session() | oslo.adapter(plan),
        "cache": caches.section(plan),
        "vnc": {"enabled": False},
        "spice": {"enabled": False},
        "oslo_concurrency": oslo.concurrency(),
        "oslo_messaging_rabbit": messages["oslo_messaging_rabbit"],
        "oslo_messaging_notifications": {"driver": "noop"},
    }
