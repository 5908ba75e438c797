"""``airbundle trust``: the trust file of a site, and drafts of its versions."""
