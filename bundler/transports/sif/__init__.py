"""``sif:``: Singularity image files, for reading only. Read ``transport`` first."""
