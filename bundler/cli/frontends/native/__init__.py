"""The command line of airbundle.

Read ``frontend`` first, then ``commands``, the table of all commands.
"""
