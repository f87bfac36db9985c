"""The documentation site: pages that are generated, and links between a repository's files made those of a site."""
