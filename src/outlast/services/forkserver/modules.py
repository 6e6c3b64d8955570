"""What is loaded ahead. Read off the programs: what they have loaded once they serve (OpenStack 2026.2).

No module may start a thread, open anything, or read what a program is told later: configuration, environment, command
line. Those that read an option while they are imported get its default; `READ` names these options, and who overrides
one has no fork server for that project. A missing module costs time, nothing else. Projects share one registry of
options, so no two of them fit in one process.
"""

from __future__ import annotations

from collections.abc import Mapping

from outlast.services.oslo import API_NICE, NEUTRON_NICE

# Nothing here may import eventlet: Nova refuses to start its native threads once that is loaded.
COMMON = (
    "pbr.version",
    "oslo_config.cfg",
    "jsonschema",
    "jinja2",
    "yaml",
    "lxml.etree",
    "webob.dec",
    "routes.middleware",
    "paste.deploy",
    "paste.urlmap",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.mysql.pymysql",
    "alembic.operations",
    "pymysql",
    "outlast_logins",
    "cachetools",
    "cryptography.fernet",
    "cryptography.x509",
    "requests",
    "dogpile.cache",
    "stevedore",
    "tenacity",
    "keystoneauth1.session",
    "keystoneauth1.identity",
    "keystoneauth1.loading._plugins.identity.generic",
    "kombu.common",
    "kombu.connection",
    "kombu.messaging",
    "amqp",
    "debtcollector",
    "netaddr",
    "rfc3986",
    "oslo_serialization.jsonutils",
    "oslo_context.context",
    "oslo_utils.timeutils",
    "oslo_log.log",
    "oslo_policy.policy",
    "oslo_middleware",
    "oslo_cache.core",
    "oslo_db.sqlalchemy.enginefacade",
    "oslo_concurrency.lockutils",
    "oslo_concurrency.processutils",
    "oslo_reports.guru_meditation_report",
    "keystonemiddleware.auth_token",
    "osprofiler.profiler",
    "pyuwsgi",
    # Looks for the place of its process's title, which it does not find once the environment was changed.
    "setproctitle:getproctitle",
)

MEMCACHE = ("oslo_cache._memcache_pool", "oslo_cache._bmemcache_pool", "dogpile.cache.backends.memcached", "uhashring")
MESSAGES = ("oslo_messaging._drivers.impl_rabbit", "oslo_messaging.notify._impl_noop")
MAPPED = "sqlalchemy.orm:configure_mappers"
"""What the first query of a process would do."""

_KEYSTONE = (
    "outlast_validators",
    "outlast_keystone_lazy",
    "keystone.server.wsgi",
    *(f"keystone.auth.plugins.{name}" for name in ("application_credential", "mapped", "password", "token")),
    *(f"keystone.{name}.backends.sql" for name in ("application_credential", "assignment", "catalog", "credential")),
    *(f"keystone.{name}.backends.sql" for name in ("endpoint_policy", "federation", "identity", "limit", "oauth1")),
    *(f"keystone.{name}.backends.sql" for name in ("policy", "resource", "revoke", "trust")),
    "keystone.assignment.role_backends.sql",
    "keystone.credential.providers.fernet",
    "keystone.identity.id_generators.sha256",
    "keystone.identity.mapping_backends.sql",
    "keystone.identity.shadow_backends.sql",
    "keystone.limit.models.flat",
    "keystone.receipt.providers.fernet",
    "keystone.resource.config_backends.sql",
    "keystone.token.providers.fernet",
    *MEMCACHE,
    MAPPED,
)
_NEUTRON = (
    "outlast_neutron_ring",
    "neutron.server",
    "neutron.plugins.ml2.plugin",
    "neutron.api.v2.router",
    "neutron.pecan_wsgi.startup",
    "neutron.pecan_wsgi.controllers.root",
    "neutron.conf.policies",
    "neutron.db.quota.driver_nolock",
    "neutron.notifiers.nova",
    "neutron.plugins.ml2.drivers.ovn.mech_driver.mech_driver",
    "neutron.plugins.ml2.drivers.type_flat",
    "neutron.plugins.ml2.drivers.type_geneve",
    "neutron.plugins.ml2.drivers.type_vlan",
    "neutron.plugins.ml2.extensions.port_security",
    "neutron.services.auto_allocate.plugin",
    "neutron.services.flavors.flavors_plugin",
    "neutron.services.network_ip_availability.plugin",
    "neutron.services.ovn_l3.plugin",
    "neutron.services.revisions.revision_plugin",
    "neutron.services.tag.tag_plugin",
    "neutron.services.timestamp.timestamp_plugin",
    *(f"neutron.services.{name}.drivers.ovn.driver" for name in ("logapi", "portforwarding", "pvlan", "qos")),
    "neutron.services.trunk.drivers.ovn.trunk_driver",
    "neutron.services.trunk.drivers.openvswitch.driver",
    "ovsdbapp.schema.ovn_northbound.impl_idl",
    "ovsdbapp.schema.ovn_southbound.impl_idl",
    "tooz.hashring",
    *MEMCACHE,
    *MESSAGES,
    MAPPED,
)
_NOVA = (
    "outlast_validators",
    # The first, before anything could load eventlet.
    "nova.cmd.scheduler",
    "nova.cmd.conductor",
    "nova.api.openstack.compute",
    "nova.api.openstack.requestlog",
    "nova.api.openstack.urlmap",
    "nova.api.openstack.wsgi_app",
    "nova.api.auth",
    "nova.api.compute_req_id",
    "nova.api.metadata.handler",
    # Not nova.scheduler.manager: it takes the interval of its look for new computes from the configuration.
    "nova.conductor.manager",
    "nova.servicegroup.drivers.db",
    "nova.objects:register_all",
    *MEMCACHE,
    *MESSAGES,
    MAPPED,
)
_GLANCE = (
    "glance.common.wsgi_app",
    "glance.api.v2.router",
    "glance.api.middleware.context",
    "glance.api.middleware.version_negotiation",
    *(f"glance_store._drivers.{name}" for name in ("cinder.store", "filesystem", "http", "rbd", "s3", "swift.store")),
    "glance_store._drivers.vmware_datastore",
    *MESSAGES,
    MAPPED,
)

FIRST_NICE = -5
"""What all wait for at a boot is loaded before other programs go on, databases too: two seconds of processor time."""
PROJECTS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "keystone": (FIRST_NICE, _KEYSTONE),
    "neutron": (NEUTRON_NICE, _NEUTRON),
    "nova": (API_NICE, _NOVA),
    "glance": (API_NICE, _GLANCE),
    "placement": (API_NICE, ("placement.deploy", "osprofiler.initializer", *MEMCACHE, MAPPED)),
}
"""By service, with the niceness at which they load (spec.program.Program.nice). All others wait for the first one."""

READ: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "keystone": {"audit": ("namespace",)},
    "neutron": {"QUOTAS": ("quota_driver",), "cache": ()},
    "nova": {"profiler": ("enabled",), "DEFAULT": ("concurrency_backend",)},
}
"""By service and section the options read while it loads; () is all of the section. A lab test finds any other.

Besides these Nova's options ask all plug-ins of castellan for theirs, by objects that are thrown away, and keystoneauth
looks for `auth_section` (oslo.limit for `auth_type`) where it registers options, and does so again when it is used.
"""
