"""Commands on bundles: export, verify, import, plan, lock, ls, sign."""
