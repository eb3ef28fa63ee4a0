"""The rooms of the line: each takes frames a step further."""
