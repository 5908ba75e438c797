"""List the members of one layer, and read selected ones, in a single pass over its stream.

The stream is verified against the digest of the layer, and the digest of the uncompressed tar (the
diff ID) is computed on the way. Everything in it is untrusted: the size of a listing is limited,
and a member whose name cannot be in a file tree ends the scan with an error.

https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
"""

from __future__ import annotations
