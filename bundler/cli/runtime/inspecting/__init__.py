"""The images and bundles that a command looks into, the two sides of a comparison, and reports.

Read ``opened_images`` first.
"""
