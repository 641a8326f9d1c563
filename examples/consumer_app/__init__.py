"""A fictional program that has its videos translated, and its tests: what a user of this project would write."""
