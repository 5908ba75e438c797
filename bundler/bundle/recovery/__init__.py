"""Recovery data: Reed-Solomon redundancy that an export adds to a bundle, and its repair.

Read ``geometry`` first, then ``write`` and ``repair``. Only commands that need recovery data import
this folder.
"""
