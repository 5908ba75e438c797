"""``oci:``: OCI image layouts in a directory. Read ``transport`` first."""
