"""``sif:``: Singularity image files, read only. Read ``transport`` first."""
