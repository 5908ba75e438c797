"""The packages in images, found in the databases and files of package managers.

Read ``package`` first (the values), then ``layer_packages`` (one pass over a layer), then
``image_packages`` (the layers of an image together). ``ecosystems`` has one module for each kind of
package. Nothing is unpacked, and all input is untrusted.
"""
