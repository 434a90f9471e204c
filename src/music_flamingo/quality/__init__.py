"""What is let through: checks, expectations, duplicates, the choice of questions, the judgement of steps."""
