"""Text and JSON output, reports, progress. Read ``text`` first."""
