"""Evidence of logs: that they contain a certificate, or an entry about a signature."""
