"""Where a mesh on one machine is found unless it is told otherwise."""

LOOPBACK = "127.0.0.1"

BASE_PORT = 50050
"""The gateway's; the other services take the ports after it."""

DEFAULT_ADDRESS = f"{LOOPBACK}:{BASE_PORT}"
