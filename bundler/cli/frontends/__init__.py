"""Front ends: the native command line and the command line compatible with Skopeo.

Read ``frontend``, their interface, first. A front end may import everything else in ``cli``; only
``main`` and the other front end import it.
"""

CLASSES = {
    "airbundle": "native:NativeFrontend",
    "skopeo": "skopeo.frontend:SkopeoFrontend",
}
"""The ``module:class`` of each front end by the name of its program, airbundle's own first."""
