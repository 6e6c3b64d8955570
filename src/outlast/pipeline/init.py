"""`outlast init`: a cluster file to start from."""

EXAMPLE = """\
# Three controllers and two compute nodes. Check it: outlast check
cluster: mycloud

networks:
  management: {cidr: 10.30.0.0/24}      # users, operators, external VIP
  control-data: {cidr: 10.31.0.0/24}    # service to service, internal VIP
  tunnel: {cidr: 10.32.0.0/24}          # tenant networks
  external: {cidr: 10.33.0.0/24, gateway: 10.33.0.1, pool: [10.33.0.100, 10.33.0.199]}

vips:
  external: {address: 10.30.0.250}
  internal: {address: 10.31.0.250}

nodes:
  c1: {roles: [controller, network], domain: rack-a}
  c2: {roles: [controller, network], domain: rack-b}
  c3: {roles: [controller, network], domain: rack-c}
  k1: {roles: [compute], domain: rack-a}
  k2: {roles: [compute], domain: rack-b}
  client: {roles: [client]}
"""
