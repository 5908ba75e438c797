"""``dir:``: images as files in directories, and trees of these. Read ``transport`` first."""
