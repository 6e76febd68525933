"""OpenStack Swift in one folder, for tests: `swift-server.py prepare FOLDER PROXY ACCOUNT CONTAINER OBJECT` writes its
configuration for these ports of 127.0.0.1, with the secret key that it reads from stdin, `swift-server.py serve FOLDER ROLE` is one of its four servers."""

import os
import sys

ROLES = ("proxy", "account", "container", "object")
PIPELINE = (
    "catch_errors gatekeeper healthcheck cache bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server"
)

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = clouddisk
swift_hash_path_suffix = test
[storage-policy:0]
name = one
default = yes
"""

COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_address = {folder}/no-log
log_level = ERROR
[filter:recon]
use = egg:swift#recon
recon_cache_path = {folder}
"""

STORAGE = """
[pipeline:main]
pipeline = {role}-server
[app:{role}-server]
use = egg:swift#{role}
"""

PROXY = """
[pipeline:main]
pipeline = {pipeline}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
# After ten errors the proxy leaves a server alone for a minute, though it is back, and here there is no other.
error_suppression_interval = 1
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_disk_owner = {secret} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
"""

SIMPLE_FILTERS = ("catch_errors", "gatekeeper", "healthcheck", "bulk", "copy", "slo", "dlo", "versioned_writes", "symlink")


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text)


def prepare(folder, secret, ports):
    from swift.common.ring import RingBuilder

    write(folder, "swift.conf", SWIFT_CONF)
    os.makedirs(os.path.join(folder, "devices", "disk"), exist_ok=True)
    for role, port in zip(ROLES, ports):
        text = COMMON.format(folder=folder, port=port)
        if role == "proxy":
            text += PROXY.format(pipeline=PIPELINE, secret=secret)
            for name in SIMPLE_FILTERS:
                text += "[filter:%s]\nuse = egg:swift#%s\n" % (name, name)
        else:
            text += STORAGE.format(role=role)
            ring = RingBuilder(4, 1, 1)
            ring.add_dev(
                dict(id=0, region=1, zone=1, weight=1, ip="127.0.0.1", port=int(port), device="disk")
            )
            ring.rebalance()
            ring.get_ring().save(os.path.join(folder, role + ".ring.gz"))
        write(folder, role + ".conf", text)


def serve(folder, role):
    import ctypes
    import signal

    # It must not outlive who started it: PR_SET_PDEATHSIG.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    from swift.common.utils import set_swift_dir
    from swift.common import wsgi

    set_swift_dir(folder)
    run_server = wsgi.run_server

    def announced(*args, ready_callback, **rest):
        def ready():
            # Before it takes its output to the log.
            print("ready", flush=True)
            ready_callback()

        return run_server(*args, ready_callback=ready, **rest)

    wsgi.run_server = announced
    sys.exit(wsgi.run_wsgi(os.path.join(folder, role + ".conf"), role + "-server"))


if sys.argv[1] == "prepare":
    prepare(sys.argv[2], sys.stdin.read().strip(), sys.argv[3:])
else:
    serve(sys.argv[2], sys.argv[3])
