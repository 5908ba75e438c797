"""``airbundle log``: the log of imports and audits of a site, and the evidence that it names."""
