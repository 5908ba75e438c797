"""Rules of a site: which images may pass, and the findings about those that may not.

Read ``finding`` (one problem), ``audited`` (the values that rules read), ``rule`` (one rule),
``checks`` (all rules) and ``evaluate`` (from rules and images to findings) first. Only ``reading``
reads content, and ``documents`` what the site wrote; everything else computes on values.
"""
