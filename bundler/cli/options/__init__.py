"""Groups of command-line options, each read into a frozen value. Read ``common`` first."""
