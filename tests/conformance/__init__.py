"""What AWS documents, case by case, for the sandbox and, to compare, for plain moto."""
