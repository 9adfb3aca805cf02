"""Storyboard + model catalog -> Plan. Pure: facts in, plan out."""
