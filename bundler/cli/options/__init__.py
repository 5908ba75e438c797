"""Groups of command-line options, each parsed into a frozen value. Read ``option`` first."""
