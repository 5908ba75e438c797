"""``oci-archive:``: OCI image layouts in a tar archive. Read ``transport`` first."""
