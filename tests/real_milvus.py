"""``python real_milvus.py FOLDER PORT ETCD_PORT ETCD_PEER_PORT``: the server in the wheel milvus.

The wheel's own launcher leaves the server behind when it is killed; this process is the server.
"""

import os
import socket
import sys
from pathlib import Path

import milvus

METRICS_PORT_FROM = 9091
ETCD = """
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""


def try_bind_port(port: int) -> socket.socket | None:
    """The launcher's own takes a port for busy where a killed server's connections linger."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return None
    return probe


def main() -> None:
    """Unpack the server, write its configuration, and run it in place of this process."""
    folder, (port, etcd_client, etcd_peer) = Path(sys.argv[1]), map(int, sys.argv[2:])
    folder.mkdir(parents=True, exist_ok=True)
    # The etcd inside listens on 2379 and 2380 unless a file of its own says otherwise.
    etcd_config = folder / "etcd.yaml"
    etcd_config.write_text(ETCD.format(client=etcd_client, peer=etcd_peer))
    launcher = milvus.MilvusServer(wait_for_started=False)
    launcher.set_base_dir(str(folder))
    launcher.listen_port = port
    launcher.config.set("etcd_port", etcd_client)
    launcher.config.try_bind_port = try_bind_port
    launcher.config.resolve()
    milvus._initialize_data_files(launcher.config.base_data_dir)
    metrics_port, probe = launcher.config.resolve_port(METRICS_PORT_FROM)
    probe.close()
    binary = Path(launcher.get_milvus_executable_path())
    os.chdir(launcher.config.base_data_dir)
    os.environ["ETCD_CONFIG_PATH"] = str(etcd_config)
    os.environ["DEPLOY_MODE"] = "STANDALONE"
    os.environ["METRICS_PORT"] = str(metrics_port)
    os.environ["MILVUS_RUN_DIR"] = str(folder / "run")
    os.environ["LD_LIBRARY_PATH"] = f"{binary.parent}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    os.execv(binary, ["milvus", "run", "standalone"])


if __name__ == "__main__":
    main()
