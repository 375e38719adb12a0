"""How a case meets a target: the pytest plugin, its containment, and the runs made of it."""
