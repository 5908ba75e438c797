"""Layer encryption in the format of ocicrypt.

Read ``recipients`` first, then ``cipher_stream``. The other modules wrap the secret of a layer, one
for each protocol.
"""
