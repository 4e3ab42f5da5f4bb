"""One environment a stack. Its settings are the variables of deploy/terraform: see ``settings.py``."""

import pulumi
from environment import VectorEnvironment
from settings import from_config

environment = VectorEnvironment("vectors", from_config(pulumi.Config()))
for name, value in environment.outputs().items():
    pulumi.export(name, value)
