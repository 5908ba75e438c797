"""Text and JSON output, receipts, progress. Read ``text`` first."""
