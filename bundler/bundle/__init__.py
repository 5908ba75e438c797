"""The product: a bundle manifest becomes a signed bundle, a bundle becomes images inside."""
