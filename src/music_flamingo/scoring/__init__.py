"""What an answer says and whether it is right: families of questions, extraction, normalisation, tolerances."""
