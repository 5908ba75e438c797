"""airbundle: export container images into a signed bundle, carry it, verify it, import it.

Layers, from the top (imports go down only; a check enforces it): ``cli``, ``bundle`` and
``images``, ``copy``, ``trust`` and ``transports``, ``ports``, ``registry``, ``config``,
``content``, ``oci``, ``gocompat``, then ``cancel``, ``events`` and ``errors``. Read ``ports``
first, then ``copy.engine``.
"""

__version__ = "0.1.0"
