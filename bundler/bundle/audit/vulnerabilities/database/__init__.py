"""Databases of OSV records: ``read_database`` finds the records, ``osv`` parses one."""
