"""All services, in the order in which an operator reads them. A plain dict: a new service is one line here."""

from __future__ import annotations

from collections.abc import Mapping

from outlast.services.contract import Service
from outlast.services.forkserver.service import SERVICE as FORKSERVER
from outlast.services.galera.service import SERVICE as GALERA
from outlast.services.glance.service import SERVICE as GLANCE
from outlast.services.haproxy.service import SERVICE as HAPROXY
from outlast.services.keepalived.service import SERVICE as KEEPALIVED
from outlast.services.keystone.service import SERVICE as KEYSTONE
from outlast.services.memcached.service import SERVICE as MEMCACHED
from outlast.services.neutron.service import SERVICE as NEUTRON
from outlast.services.nova.service import SERVICE as NOVA
from outlast.services.nova_compute.service import SERVICE as NOVA_COMPUTE
from outlast.services.openvswitch.service import SERVICE as OPENVSWITCH
from outlast.services.ovn.service import SERVICE as OVN
from outlast.services.ovn_agent.service import SERVICE as OVN_AGENT
from outlast.services.placement.service import SERVICE as PLACEMENT
from outlast.services.rabbitmq.service import SERVICE as RABBITMQ
from outlast.services.swift.service import SERVICE as SWIFT
from outlast.services.zookeeper.service import SERVICE as ZOOKEEPER

SERVICES: Mapping[str, Service] = {
    service.spec.name: service
    for service in (
        KEEPALIVED,
        HAPROXY,
        ZOOKEEPER,
        GALERA,
        RABBITMQ,
        MEMCACHED,
        OVN,
        OPENVSWITCH,
        FORKSERVER,
        KEYSTONE,
        GLANCE,
        SWIFT,
        PLACEMENT,
        NOVA,
        NEUTRON,
        NOVA_COMPUTE,
        OVN_AGENT,
    )
}

SPECS = {name: service.spec for name, service in SERVICES.items()}
DESCRIBE = {name: service.describe for name, service in SERVICES.items()}
