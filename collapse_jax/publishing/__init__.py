"""What leaves a machine: numbers of the pages, derived again from shipped results; folders of a data hub."""
