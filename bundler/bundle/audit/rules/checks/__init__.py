"""All rules, in the order of the documentation; one module for each kind of content they read."""

from __future__ import annotations

from bundler.bundle.audit.rules.checks import configs, inventory, manifests, references

RULES = (*references.RULES, *inventory.RULES, *manifests.RULES, *configs.RULES)

BY_CODE = {rule.code: rule for rule in RULES}
