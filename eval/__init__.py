"""The evaluation suite: measured numbers, made by one command each."""
