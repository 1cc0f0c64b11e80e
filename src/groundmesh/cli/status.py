"""``groundmesh status``."""

from groundmesh.cli.output import print_json, print_table
from groundmesh.cli.problems import Exit
from groundmesh.client import Client, ServerStatus


async def status(*, server: str, timeout_s: float, as_json: bool) -> Exit:
    """Print every service; DONE only when all are ready."""
    async with Client(server) as mesh:
        servers = await mesh.status(timeout_s=timeout_s)
    if as_json:
        print_json([{**vars(each), "load": dict(each.load)} for each in servers])
    else:
        print_table(
            ("SERVICE", "READY", "VERSION", "ENGINE", "MODELS", "ADDRESS", "NOTE"),
            [_row(each) for each in servers],
        )
    return Exit.DONE if all(each.ready for each in servers) else Exit.UNREACHABLE


def _row(each: ServerStatus) -> tuple[str, ...]:
    note = each.error or ("" if each.ready else "not ready yet")
    return (
        each.service,
        "yes" if each.ready else "no",
        each.version,
        f"{each.engine} {each.engine_version}".strip(),
        ", ".join(each.models),
        each.address,
        note,
    )
