"""The contents of a bundle, or in images at any other source. Read ``images`` first."""
