"""What `soak.py` is made of: footage, the program, harm, the verdict."""
