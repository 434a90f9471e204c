"""Quality control: checks, expectations, duplicates, selection of questions, verification of steps."""
