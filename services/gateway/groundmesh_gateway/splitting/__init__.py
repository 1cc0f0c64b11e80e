"""Text to chunks that an embedding model reads whole, cut where the text itself pauses."""

from groundmesh_gateway.splitting.splitter import METHOD, Span, Splitting, split
from groundmesh_gateway.splitting.tokens import HubTokenCounter, TokenCounter

__all__ = ["METHOD", "HubTokenCounter", "Span", "Splitting", "TokenCounter", "split"]
