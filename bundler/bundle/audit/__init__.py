"""Reports on the contents of a bundle. Read ``list_contents`` first."""
