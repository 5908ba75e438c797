"""Export images into a bundle. Read ``export`` first, then ``resolve`` and ``seal``."""
