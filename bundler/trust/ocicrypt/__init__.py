"""Layer encryption in the format of ocicrypt.

Read ``recipients`` first, then ``cipher_stream``. Each of the other modules implements one
protocol that wraps the secret of a layer.
"""
