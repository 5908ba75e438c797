"""``dir:``: images as plain files in directories, and trees of them. Read ``transport`` first."""
