"""Scripts: training, generating, and the making of the site."""
