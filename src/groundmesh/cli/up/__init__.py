"""``groundmesh up``: the whole mesh on this machine, each service a process of its own."""
