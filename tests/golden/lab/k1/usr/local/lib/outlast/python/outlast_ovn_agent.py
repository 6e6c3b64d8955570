"""Neutron's OVN agent for nodes with a userspace switch.

There nobody computes the checksums that a veth leaves to hardware. Neutron's own cure is an iptables rule, which needs
iptables and a kernel module that the lab's machine may not have; telling the veth to compute them itself needs neither.
"""

import sys

from neutron.agent.linux import ip_lib
from neutron.agent.linux import utils
from neutron.agent.ovn.metadata import agent
from neutron.cmd.agents import ovn_neutron_agent


def ensure_checksums(self, namespace):
    for device in ip_lib.IPWrapper(namespace=namespace).get_devices():
        command = ["ip", "netns", "exec", namespace, "ethtool", "-K", device.name, "tx", "off"]
        utils.execute(command, run_as_root=True)


agent.MetadataAgent._ensure_datapath_checksum = ensure_checksums
sys.exit(ovn_neutron_agent.main())
