"""Export a bundle manifest into a bundle. Read ``export`` first."""
