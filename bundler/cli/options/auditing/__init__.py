"""Options for the rules of a site, databases of vulnerabilities, and kept contents of layers."""
