"""``python -m groundmesh_trainer.ray_check [ADDRESS]``: Ray runs one task, or this fails.

A process of its own, below the guard, so that nothing that Ray starts or sets stays behind.
"""

import os
import platform
import secrets
import sys
import tempfile

ON_LOOPBACK = {
    # Read by Ray when it is imported. The second keeps all of its ports on 127.0.0.1, which Ray
    # does on other systems only; the third keeps the machine's other users out.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}


def main(address: str | None) -> None:
    """Connect to the cluster, or be a small one, run a task and shut down."""
    where: dict[str, object] = {"address": address}
    if address is None:
        os.environ.update(ON_LOOPBACK, RAY_AUTH_TOKEN=secrets.token_hex(32))
        where = {
            "num_cpus": 1,
            "num_gpus": 0,
            "include_dashboard": False,
            "object_store_memory": 80 * 1024 * 1024,  # the least that Ray takes
            "_temp_dir": tempfile.gettempdir(),  # the guard's, gone with it
        }
    import ray

    ray.init(**where, log_to_driver=False)
    theirs = ray.get(ray.remote(platform.python_version).remote())
    ray.shutdown()
    if theirs != platform.python_version():
        sys.exit(f"Ray's workers run Python {theirs}, this trainer {platform.python_version()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
