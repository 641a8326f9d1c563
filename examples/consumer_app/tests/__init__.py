"""Tests of the catalogue; they need nothing but the two distributions and pytest."""
