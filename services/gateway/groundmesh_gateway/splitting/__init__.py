"""Text to chunks that an embedding model reads whole, cut where the text itself pauses."""

from groundmesh_gateway.splitting.contexts import Contexts
from groundmesh_gateway.splitting.splitter import METHOD, Span, Splitting, context_room, split
from groundmesh_gateway.splitting.tokens import HubTokenCounter, TokenCounter

__all__ = [
    "METHOD",
    "Contexts",
    "HubTokenCounter",
    "Span",
    "Splitting",
    "TokenCounter",
    "context_room",
    "split",
]
