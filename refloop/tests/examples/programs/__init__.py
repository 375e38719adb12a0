"""The programs. Each begins with what it prints; `*` stands for anything."""
