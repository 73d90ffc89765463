"""What is said about a picture: questions, answers, and rows for each stage."""
