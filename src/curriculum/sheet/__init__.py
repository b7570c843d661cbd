"""What a schedule says: the language of dopesheets, and the arrays that they compile to."""
