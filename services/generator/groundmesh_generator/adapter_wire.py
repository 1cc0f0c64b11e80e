"""References to adapters, between messages and the core."""

from groundmesh.adapters import AdapterRef
from groundmesh.errors import InvalidArgument
from groundmesh.v1 import generator_pb2


def adapter_ref(message: generator_pb2.AdapterRef) -> AdapterRef:
    """What a request names; InvalidArgument names the field of it that can't be."""
    try:
        return AdapterRef(message.name, message.version, message.sha256)
    except ValueError as error:
        field, _, description = str(error).partition(": ")
        raise InvalidArgument.of_field(f"adapter.{field}", description) from error


def adapter_message(ref: AdapterRef) -> generator_pb2.AdapterRef:
    """What an answer says."""
    return generator_pb2.AdapterRef(name=ref.name, version=ref.version, sha256=ref.sha256)
